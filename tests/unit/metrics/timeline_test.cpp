#include <gtest/gtest.h>

#include <algorithm>

#include "sim/metrics/timeline.h"
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

TEST(Timeline, KeepsEveryRowWhileThereAreFew) {
  Timeline t;
  for (int i = 0; i < 500; ++i) t.add(row(i, 0, i, 0));
  EXPECT_EQ(t.take().size(), 500U);
}

TEST(Timeline, OfOneInstantTheLastStands) {
  Timeline t;
  t.add(row(1, 0, 10, 0));
  t.add(row(1, 0, 20, 0));
  t.add(row(1, 1, 30, 0));
  const auto rows = t.take();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].slots.tokens, 20);
}

TEST(Timeline, ThinnedStillHasTheExtremes) {
  for (const std::uint32_t replicas : {1U, 7U, 1000U}) {
    SCOPED_TRACE(replicas);
    Timeline t;
    Random random(5, "timeline");
    std::vector<std::int64_t> most(replicas, -1), least(replicas, 1 << 30);
    const int n = 400'000;
    for (int i = 0; i < n; ++i) {
      const auto r = static_cast<std::uint32_t>(i) % replicas;
      const auto tokens = static_cast<std::int64_t>(random.below(1'000'000));
      most[r] = std::max(most[r], tokens);
      least[r] = std::min(least[r], tokens);
      t.add(row(i, r, tokens, 0));
    }
    const auto rows = t.take();
    EXPECT_LE(rows.size(), replicas == 1000 ? 60'000U : Timeline::kMostRows);
    std::vector<std::int64_t> kept_most(replicas, -1), kept_least(replicas, 1 << 30);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i > 0) {
        EXPECT_LE(rows[i - 1].time, rows[i].time);
      }
      kept_most[rows[i].replica] = std::max(kept_most[rows[i].replica], rows[i].slots.tokens);
      kept_least[rows[i].replica] = std::min(kept_least[rows[i].replica], rows[i].slots.tokens);
    }
    EXPECT_EQ(kept_most, most);
    EXPECT_EQ(kept_least, least);
  }
}

TEST(Timeline, FullKeepsAll) {
  Timeline t(true);
  for (int i = 0; i < 100'000; ++i) t.add(row(i, 0, i % 7, 0));
  EXPECT_EQ(t.take().size(), 100'000U);
}

}  // namespace
}  // namespace headroom
