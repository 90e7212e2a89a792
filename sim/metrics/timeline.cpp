#include "sim/metrics/timeline.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace headroom {
namespace {

constexpr std::size_t kColumns = 10;
constexpr std::size_t kMostOpen = 128;  // rows of a begun bucket before it is thinned

// Empty slots are external while a request waits that cannot be placed.
std::int64_t external(const TimelineRow& row) {
  return row.head_blocked ? row.slots.empty : 0;
}

// Moves to the front, in order, the first and the last row and those that hold a column's first minimum or maximum, of
// all columns that timeline.csv and the trace show. Returns how many they are.
std::size_t keep_extremes(std::span<TimelineRow> bucket) {
  if (bucket.size() < 3) return bucket.size();
  std::array<std::size_t, 2 * kColumns + 2> kept{0, bucket.size() - 1};
  auto end = kept.begin() + 2;
  const auto keep = [&](std::size_t row) {
    if (std::find(kept.begin(), end, row) == end) *end++ = row;
  };
  const auto keep_both = [&](auto column) {
    std::int64_t least = column(bucket[0]), most = least;
    std::size_t least_at = 0, most_at = 0;
    for (std::size_t i = 1; i < bucket.size(); ++i) {
      const std::int64_t now = column(bucket[i]);
      least_at = now < least ? i : least_at;  // no branches: they would be taken as the data fall
      most_at = now > most ? i : most_at;
      least = std::min(least, now);
      most = std::max(most, now);
    }
    keep(least_at);
    keep(most_at);
  };
  keep_both([](const TimelineRow& row) { return row.slots.tokens; });
  keep_both([](const TimelineRow& row) { return row.slots.reserved; });
  keep_both([](const TimelineRow& row) { return row.slots.internal; });
  keep_both([](const TimelineRow& row) { return row.slots.padding; });
  keep_both([](const TimelineRow& row) { return row.slots.cached; });
  keep_both([](const TimelineRow& row) { return row.slots.empty; });
  keep_both([](const TimelineRow& row) { return external(row); });
  keep_both([](const TimelineRow& row) { return row.slots.empty - external(row); });
  keep_both([](const TimelineRow& row) { return row.running; });
  keep_both([](const TimelineRow& row) { return row.waiting; });
  std::sort(kept.begin(), end);
  const auto count = static_cast<std::size_t>(end - kept.begin());
  for (std::size_t i = 1; i < count; ++i) bucket[i] = bucket[kept[i]];
  return count;
}

}  // namespace

void Timeline::add(const TimelineRow& row) {
  if (row.replica >= tracks_.size()) tracks_.resize(row.replica + 1);
  Track& track = tracks_[row.replica];
  if (!track.rows.empty() && track.rows.back().time == row.time) {
    track.rows.back() = row;
    return;
  }
  if (!full_) {  // from here on the row before this one will not be replaced
    const bool whole = track.begun >= span_;
    if (whole || track.rows.size() - track.first_open() >= kMostOpen) thin_open(track);
    if (whole) {
      track.ends.push_back(track.rows.size());
      track.begun = 0;
    }
  }
  track.rows.push_back(row);
  ++track.begun;
  ++rows_;
  if (full_ || rows_ <= limit_) return;
  while (rows_ > kMostRows && merge_buckets()) {
  }
  limit_ = std::max(2 * kMostRows, 2 * rows_);
}

void Timeline::thin_open(Track& track) {
  const std::size_t from = track.first_open(), before = track.rows.size();
  track.rows.resize(from + keep_extremes(std::span(track.rows).subspan(from)));
  rows_ -= before - track.rows.size();
}

// Buckets become twice as large. A whole one without a neighbour is the beginning of the bucket begun. False if no
// replica has two buckets.
bool Timeline::merge_buckets() {
  bool merged = false;
  for (Track& track : tracks_) {
    merged = merged || track.ends.size() + (track.begun > 0) > 1;
    std::size_t to = 0, from = 0;
    const std::size_t pairs = track.ends.size() / 2;
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      const std::size_t end = track.ends[2 * pair + 1];
      const std::size_t kept = keep_extremes(std::span(track.rows).subspan(from, end - from));
      for (std::size_t i = 0; i < kept; ++i) track.rows[to + i] = track.rows[from + i];
      from = end;
      track.ends[pair] = to += kept;
    }
    if (track.ends.size() % 2 == 1) track.begun += span_;
    track.ends.resize(pairs);
    rows_ -= from - to;
    track.rows.erase(track.rows.begin() + static_cast<std::ptrdiff_t>(to),
                     track.rows.begin() + static_cast<std::ptrdiff_t>(from));
  }
  span_ *= 2;
  return merged;
}

std::vector<TimelineRow> Timeline::take() {
  const auto thin_all_open = [&] {
    for (Track& track : tracks_) thin_open(track);
  };
  if (!full_ && rows_ > kMostRows) {
    thin_all_open();
    while (rows_ > kMostRows && merge_buckets()) thin_all_open();
  }
  if (tracks_.size() == 1) return std::move(tracks_[0].rows);
  std::vector<TimelineRow> rows;
  rows.reserve(rows_);
  for (const Track& track : tracks_) rows.insert(rows.end(), track.rows.begin(), track.rows.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const TimelineRow& a, const TimelineRow& b) { return a.time < b.time; });
  return rows;
}

}  // namespace headroom
