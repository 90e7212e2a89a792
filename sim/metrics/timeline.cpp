#include "sim/metrics/timeline.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>

namespace headroom {
namespace {

constexpr std::size_t kMostOpen = 128;  // rows of a begun bucket before it is thinned
constexpr std::int64_t kWord = 64;      // rows whose marks fit in a word

// Empty slots are external while a request waits that cannot be placed.
std::int64_t external(const TimelineRow& row) {
  return row.head_blocked ? row.slots.empty : 0;
}

// Moves to `to`, in order, the first and the last row and those that hold a column's first minimum or maximum, of all
// columns that timeline.csv and the trace show. No column is negative. `to` is not behind the bucket. Returns the end.
TimelineRow* keep_extremes(std::span<TimelineRow> bucket, TimelineRow* to) {
  if (bucket.size() < 3) return to == bucket.data() ? to + bucket.size() : std::copy(bucket.begin(), bucket.end(), to);
  if (std::ssize(bucket) > kWord) {  // the extremes of two halves' extremes
    const std::size_t half = bucket.size() / 2;
    TimelineRow* const first = keep_extremes(bucket.first(half), bucket.data());
    return keep_extremes({bucket.data(), keep_extremes(bucket.subspan(half), first)}, to);
  }
  const auto mark = [](std::int64_t row) { return std::uint64_t{1} << (row % kWord); };
  std::uint64_t marks = mark(0) | mark(std::ssize(bucket) - 1);
  // The row's number below the value: of equal ones the first wins, and no branch depends on the data.
  const auto keep = [&](auto column) {
    std::int64_t least = column(bucket[0]) * kWord, most = least + kWord - 1;
    for (std::int64_t i = 1; i < std::ssize(bucket); ++i) {
      const std::int64_t value = column(bucket[static_cast<std::size_t>(i)]) * kWord;
      least = std::min(least, value + i);
      most = std::max(most, value + kWord - 1 - i);
    }
    marks |= mark(least) | mark(kWord - 1 - most % kWord);
  };
  keep([](const TimelineRow& row) { return row.slots.tokens; });
  keep([](const TimelineRow& row) { return row.slots.internal; });
  keep([](const TimelineRow& row) { return row.slots.empty; });
  keep([](const TimelineRow& row) -> std::int64_t { return row.running; });
  keep([](const TimelineRow& row) -> std::int64_t { return row.waiting; });
  // The others are zero in most runs, and one value's extremes stand in the first row.
  std::int64_t reserved = 0, padding = 0, cached = 0, blocked = 0;
  for (const TimelineRow& row : bucket) {
    reserved |= row.slots.reserved;
    padding |= row.slots.padding;
    cached |= row.slots.cached;
    blocked |= external(row);
  }
  if (reserved != 0) keep([](const TimelineRow& row) { return row.slots.reserved; });
  if (padding != 0) keep([](const TimelineRow& row) { return row.slots.padding; });
  if (cached != 0) keep([](const TimelineRow& row) { return row.slots.cached; });
  if (blocked != 0) keep([](const TimelineRow& row) { return external(row); });
  if (blocked != 0) keep([](const TimelineRow& row) { return row.slots.empty - external(row); });
  for (; marks != 0; marks &= marks - 1) *to++ = bucket[static_cast<std::size_t>(std::countr_zero(marks))];
  return to;
}

}  // namespace

void Timeline::add(const TimelineRow& row) {
  if (row.replica >= tracks_.size()) tracks_.resize(row.replica + 1);
  if (tracks_.size() == 1 && rows_ == 0) tracks_[0].rows.reserve(2 * kMostRows + 1);  // else moved as they grow
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
  const std::span<TimelineRow> open = std::span(track.rows).subspan(track.first_open());
  const auto gone = open.data() + open.size() - keep_extremes(open, open.data());
  rows_ -= static_cast<std::size_t>(gone);
  track.rows.resize(track.rows.size() - static_cast<std::size_t>(gone));
}

// Buckets become twice as large. A whole one without a neighbour is the beginning of the bucket begun. False if no
// replica has two buckets.
bool Timeline::merge_buckets() {
  bool merged = false;
  for (Track& track : tracks_) {
    merged = merged || track.ends.size() + (track.begun > 0) > 1;
    TimelineRow* const rows = track.rows.data();
    std::size_t to = 0, from = 0;
    const std::size_t pairs = track.ends.size() / 2;
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      const std::size_t end = track.ends[2 * pair + 1];
      to = static_cast<std::size_t>(keep_extremes({rows + from, rows + end}, rows + to) - rows);
      from = end;
      track.ends[pair] = to;
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
