// Thins a long sequence of moments to at most so many rows, and keeps every extreme.
//
// Rows come in order of time for each replica. Neighbouring rows of one replica are grouped into buckets of equally
// many; of each bucket the first and the last row survive, and those that hold the smallest and the largest value of
// any column. When the budget is reached, buckets are merged two by two, so every part of a run is kept equally fine,
// and the cost is O(1) a row in the long run.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/metrics/run_result.h"

namespace headroom {

class Timeline {
 public:
  // Exceeded only where one bucket a replica is more than that: at most 22 rows for each of more than 136 replicas.
  static constexpr std::size_t kMostRows = 3'000;
  explicit Timeline(bool full = false) : full_(full) {}

  // Rows of one replica at the same time: the last one stands.
  void add(const TimelineRow& row);
  // All kept rows, by time, then by replica. The last thing to ask for.
  std::vector<TimelineRow> take();

 private:
  struct Track {
    std::vector<TimelineRow> rows;  // survivors of whole buckets, then those of the bucket begun
    std::vector<std::size_t> ends;  // where each whole bucket ends in rows
    std::size_t begun = 0;          // rows that came into the bucket begun, survivors or not
    std::size_t first_open() const { return ends.empty() ? 0 : ends.back(); }
  };
  void thin_open(Track& track);
  bool merge_buckets();

  bool full_;
  std::size_t span_ = 1;               // rows that come into one bucket
  std::size_t limit_ = 2 * kMostRows;  // rows to gather before buckets are merged
  std::size_t rows_ = 0;
  std::vector<Track> tracks_;
};

}  // namespace headroom
