#include "sim/metrics/timeline.h"

#include <algorithm>
#include <array>
#include <span>

namespace headroom {
namespace {

std::array<std::int64_t, 8> columns(const TimelineRow& row) {
  return {row.slots.tokens,  row.slots.reserved, row.slots.internal, row.slots.padding,
          row.slots.cached,  row.slots.empty,    row.running,        row.waiting};
}

// The rows of a bucket that hold a column's first minimum or maximum, in order, and the bucket's last row.
void keep_extremes(std::span<const TimelineRow> bucket, std::vector<TimelineRow>& kept) {
  std::array<std::size_t, 16> least_most{};
  std::array<std::int64_t, 8> least = columns(bucket[0]), most = least;
  for (std::size_t i = 1; i < bucket.size(); ++i) {
    const auto now = columns(bucket[i]);
    for (std::size_t c = 0; c < now.size(); ++c) {
      if (now[c] < least[c]) least[c] = now[c], least_most[2 * c] = i;
      if (now[c] > most[c]) most[c] = now[c], least_most[2 * c + 1] = i;
    }
  }
  std::vector<std::size_t> rows(least_most.begin(), least_most.end());
  rows.push_back(bucket.size() - 1);
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  for (const std::size_t row : rows) kept.push_back(bucket[row]);
}

}  // namespace

void Timeline::add(const TimelineRow& row) {
  if (row.replica >= tracks_.size()) tracks_.resize(row.replica + 1);
  std::vector<TimelineRow>& recent = tracks_[row.replica].recent;
  if (!recent.empty() && recent.back().time == row.time) {
    recent.back() = row;
    return;
  }
  recent.push_back(row);
  if (++rows_ > limit_ && !full_) thin();
}

void Timeline::thin() {
  // A bucket's extremes are at most 17 rows, so a bucket must be larger than that; no replica can keep fewer rows than
  // one bucket's, whatever the budget.
  const std::size_t least = 17 * std::max<std::size_t>(1, tracks_.size());
  const std::size_t target = std::max(kMostRows, least);
  for (std::size_t bucket = 34; rows_ > target; bucket *= 2) {
    rows_ = 0;
    for (Track& track : tracks_) {
      std::vector<TimelineRow> all = std::move(track.kept);
      all.insert(all.end(), track.recent.begin(), track.recent.end());
      track.recent.clear();
      track.kept.clear();
      for (std::size_t from = 0; from < all.size(); from += bucket)
        keep_extremes(std::span(all).subspan(from, std::min(bucket, all.size() - from)), track.kept);
      rows_ += track.kept.size();
    }
  }
  limit_ = 4 * target;                         // room to grow before the next time, so a row costs O(1) in the long run
}

std::vector<TimelineRow> Timeline::take() {
  if (rows_ > kMostRows && !full_) thin();
  std::vector<TimelineRow> rows;
  for (const Track& track : tracks_) {
    rows.insert(rows.end(), track.kept.begin(), track.kept.end());
    rows.insert(rows.end(), track.recent.begin(), track.recent.end());
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const TimelineRow& a, const TimelineRow& b) { return a.time < b.time; });
  return rows;
}

}  // namespace headroom
