// Thins a long sequence of moments to at most so many rows, and keeps every extreme.
//
// Rows come in order of time for each replica. Neighbouring rows of one replica are grouped into buckets of equal
// size; of each bucket the rows that hold the smallest and the largest value of any column survive. When the budget is
// reached, buckets are merged two by two, so the cost is O(1) a row in the long run.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/metrics/run_result.h"

namespace headroom {

class Timeline {
 public:
  static constexpr std::size_t kMostRows = 10'000;
  explicit Timeline(bool full = false) : full_(full) {}

  // Rows of one replica at the same time: the last one stands.
  void add(const TimelineRow& row);
  // All kept rows, by time, then by replica.
  std::vector<TimelineRow> take();

 private:
  struct Track {
    std::vector<TimelineRow> kept;             // thinned
    std::vector<TimelineRow> recent;           // not yet
  };
  void thin();

  bool full_;
  std::size_t limit_ = 4 * kMostRows;          // rows to gather before thinning
  std::size_t rows_ = 0;
  std::vector<Track> tracks_;
};

}  // namespace headroom
