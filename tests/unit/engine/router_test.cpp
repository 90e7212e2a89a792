#include "sim/engine/router.h"

#include <gtest/gtest.h>

#include <vector>

namespace headroom {
namespace {

Request prompt(std::int64_t tokens) {
  Request r;
  r.prompt_tokens = tokens;
  return r;
}

TEST(Router, RoundRobinGoesRound) {
  Router router(RouterPolicy::kRoundRobin, 3, 1);
  const std::vector<std::int64_t> busy{9, 0, 0};
  for (const std::size_t expected : {0U, 1U, 2U, 0U}) EXPECT_EQ(router.choose(prompt(1), {}, busy), expected);
  EXPECT_FALSE(router.looks_at_load());
}

TEST(Router, LeastOutstandingTakesTheLowestOfTheShortest) {
  Router router(RouterPolicy::kLeastOutstanding, 3, 1);
  EXPECT_EQ(router.choose(prompt(1), {}, std::vector<std::int64_t>{3, 1, 1}), 1U);
}

TEST(Router, RandomReachesEveryone) {
  Router router(RouterPolicy::kRandom, 4, 1);
  std::vector<int> seen(4);
  for (int i = 0; i < 4000; ++i) ++seen[router.choose(prompt(1), {}, {})];
  for (const int n : seen) EXPECT_NEAR(n, 1000, 120);
}

TEST(Router, PrefixAffinityFollowsHalfAPromptUnlessQueuesLean) {
  Router router(RouterPolicy::kPrefixAffinity, 2, 1);
  const std::vector<std::int64_t> even{1, 0}, leaning{0, 40};
  const ContentSegment shared[] = {{7, 100}, {8, 100}}, other[] = {{7, 100}, {9, 300}};
  EXPECT_EQ(router.choose(prompt(200), shared, even), 1U) << "nobody knows it: the shortest queue";
  EXPECT_EQ(router.choose(prompt(210), shared, std::vector<std::int64_t>{0, 1}), 1U) << "it is known there";
  EXPECT_EQ(router.choose(prompt(400), other, std::vector<std::int64_t>{0, 1}), 0U) << "a quarter of it is too little";
  EXPECT_EQ(router.choose(prompt(210), shared, leaning), 0U) << "the queue there is too long";
}

}  // namespace
}  // namespace headroom
