#include "sim/metrics/timeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

#include "sim/workload/random.h"

namespace headroom {
namespace {

TimelineRow row(double time, std::uint32_t replica, std::int64_t tokens, std::int32_t waiting) {
  TimelineRow r;
  r.time = time;
  r.replica = replica;
  r.slots.tokens = tokens;
  r.slots.empty = 1'000'000 - tokens;
  r.waiting = waiting;
  return r;
}

TimelineRow random_row(double time, std::uint32_t replica, Random& random) {
  const auto some = [&] { return static_cast<std::int64_t>(random.below(1'000'000)); };
  TimelineRow r;
  r.time = time;
  r.replica = replica;
  r.slots = SlotUsage{some(), some(), some(), some(), some(), some()};
  r.head_blocked = random.below(2) == 0;
  r.running = static_cast<std::int32_t>(some());
  r.waiting = static_cast<std::int32_t>(some());
  return r;
}

// Everything a reader of timeline.csv sees of a row.
std::array<std::int64_t, 10> columns(const TimelineRow& r) {
  return {r.slots.tokens,
          r.slots.reserved,
          r.slots.internal,
          r.slots.padding,
          r.slots.cached,
          r.slots.empty,
          r.head_blocked ? r.slots.empty : 0,
          r.head_blocked ? 0 : r.slots.empty,
          r.running,
          r.waiting};
}

struct Extremes {
  std::array<std::int64_t, 10> least, most;
  double first = -1, last = -1;
  void add(const TimelineRow& r) {
    const auto now = columns(r);
    if (first < 0) first = r.time, least = most = now;
    for (std::size_t c = 0; c < now.size(); ++c) {
      least[c] = std::min(least[c], now[c]);
      most[c] = std::max(most[c], now[c]);
    }
    last = r.time;
  }
  friend bool operator==(const Extremes&, const Extremes&) = default;
};

TEST(Timeline, KeepsEveryRowWhileThereAreFew) {
  constexpr int kMost = Timeline::kMostRows;
  for (const int n : {0, 1, 500, kMost}) {
    Timeline t;
    for (int i = 0; i < n; ++i) t.add(row(i, static_cast<std::uint32_t>(i % 3), i, 0));
    EXPECT_EQ(t.take().size(), static_cast<std::size_t>(n));
  }
  Timeline t;
  for (int i = 0; i <= kMost; ++i) t.add(row(i, 0, i, 0));
  EXPECT_LE(t.take().size(), Timeline::kMostRows);
}

TEST(Timeline, OfOneInstantTheLastStands) {
  Timeline t;
  t.add(row(1, 0, 10, 0));
  t.add(row(1, 0, 20, 0));
  t.add(row(1, 1, 30, 0));
  const auto rows = t.take();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].slots.tokens, 20);
  EXPECT_EQ(rows[1].replica, 1U);
}

TEST(Timeline, ThinnedStillHasTheExtremesOfEveryColumn) {
  for (const std::uint32_t replicas : {1U, 7U, 450U, 1000U, 20'000U}) {
    SCOPED_TRACE(replicas);
    Timeline t;
    Random random(5, "timeline");
    std::map<std::uint32_t, Extremes> all, kept;
    for (int i = 0; i < 400'000; ++i) {
      const TimelineRow r = random_row(i, static_cast<std::uint32_t>(i) % replicas, random);
      all[r.replica].add(r);
      t.add(r);
    }
    const auto rows = t.take();
    EXPECT_LE(rows.size(), std::max<std::size_t>(Timeline::kMostRows, 22 * replicas));
    EXPECT_GE(rows.size(), std::min<std::size_t>(Timeline::kMostRows / 4, 2 * replicas));
    for (const TimelineRow& r : rows) kept[r.replica].add(r);
    EXPECT_TRUE(kept == all);
    EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.time < b.time; }));
  }
}

TEST(Timeline, EveryPartOfARunIsKeptEquallyFine) {
  for (const int n : {100'000, 3'000'000}) {
    SCOPED_TRACE(n);
    Timeline t;
    Random random(5, "timeline");
    for (int i = 0; i < n; ++i) t.add(row(i, 0, static_cast<std::int64_t>(random.below(1000)), i % 17));
    std::array<std::size_t, 10> tenths{};
    const auto rows = t.take();
    for (const TimelineRow& r : rows) ++tenths[static_cast<std::size_t>(r.time * 10 / n)];
    for (const std::size_t kept : tenths) {
      EXPECT_GT(kept, rows.size() / 20);
      EXPECT_LT(kept, rows.size() / 5);
    }
  }
}

// A moment that is replaced must not have displaced another: its high value never was.
TEST(Timeline, AReplacedMomentLeavesNoTrace) {
  Timeline t;
  Extremes all, kept;
  Random random(6, "replaced");
  for (int i = 0; i < 200'000; ++i) {
    for (std::uint64_t k = random.below(3); k > 0; --k) t.add(row(i, 0, 1'000'000 + i, -5));
    const TimelineRow stands = row(i, 0, static_cast<std::int64_t>(random.below(1000)), 3);
    t.add(stands);
    all.add(stands);
  }
  const auto rows = t.take();
  for (const TimelineRow& r : rows) kept.add(r);
  EXPECT_TRUE(kept == all);
  for (std::size_t i = 1; i < rows.size(); ++i) ASSERT_LT(rows[i - 1].time, rows[i].time);
}

TEST(Timeline, ReplicasThatComeLateOrSeldom) {
  Timeline t;
  for (int i = 0; i < 100'000; ++i) t.add(row(i, i < 50'000 ? 0 : 3, i, 0));
  t.add(row(100'000, 9, 42, 0));
  const auto rows = t.take();
  EXPECT_LE(rows.size(), Timeline::kMostRows);
  EXPECT_EQ(rows.front().time, 0);
  EXPECT_EQ(rows.back().replica, 9U);
}

TEST(Timeline, FullKeepsAll) {
  Timeline t(true);
  for (int i = 0; i < 100'000; ++i) t.add(row(i, 0, i % 7, 0));
  EXPECT_EQ(t.take().size(), 100'000U);
}

}  // namespace
}  // namespace headroom
