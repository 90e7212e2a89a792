// Percentiles as numpy has them; of runs of gaps exactly as if every gap had been written out.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/metrics/summary.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

TEST(Percentile, IsNumpysLinearOne) {
  const double v[] = {1, 2, 4, 8};
  EXPECT_EQ(percentile(v, 0), 1);
  EXPECT_EQ(percentile(v, 50), 3);             // numpy.percentile([1, 2, 4, 8], 50)
  EXPECT_NEAR(percentile(v, 90), 6.8, 1e-12);
  EXPECT_EQ(percentile(v, 100), 8);
  EXPECT_EQ(percentile(std::span<const double>{}, 50), 0);
}

Distribution written_out(std::span<const GapRun> runs) {
  std::vector<double> values;
  for (const GapRun& r : runs)
    for (std::uint32_t i = 0; i < r.steps; ++i)
      for (std::uint32_t k = 0; k < r.sequences; ++k) values.push_back(r.first + static_cast<double>(i) * r.slope);
  return distribution_of(values);
}

TEST(GapRuns, EqualTheirValuesOneByOne) {
  Random random(3, "gaps");
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<GapRun> runs;
    const std::size_t n = 1 + random.below(40);
    for (std::size_t i = 0; i < n; ++i) {
      GapRun r;
      r.first = 0.01 + 0.05 * random.uniform();
      if (random.uniform() < 0.2) r.first = 0.02;  // ties
      r.steps = static_cast<std::uint32_t>(1 + random.below(200));
      r.sequences = static_cast<std::uint32_t>(1 + random.below(20));
      const double kind = random.uniform();
      r.slope = kind < 0.2 ? 0 : kind < 0.3 ? -r.first / r.steps / 2 : 1e-5 * random.uniform();
      runs.push_back(r);
    }
    const Distribution fast = distribution_of(std::span<const GapRun>(runs)), plain = written_out(runs);
    ASSERT_EQ(fast.count, plain.count);
    ASSERT_NEAR(fast.mean, plain.mean, 1e-12);
    ASSERT_EQ(fast.p50, plain.p50) << trial;
    ASSERT_EQ(fast.p90, plain.p90) << trial;
    ASSERT_EQ(fast.p95, plain.p95) << trial;
    ASSERT_EQ(fast.p99, plain.p99) << trial;
    ASSERT_EQ(fast.max, plain.max) << trial;
  }
}

TEST(GapRuns, ManyMoreThanCanBeWrittenOut) {
  std::vector<GapRun> runs(2000, GapRun{0.01, 1e-7, 4'000'000, 50});
  const Distribution d = distribution_of(std::span<const GapRun>(runs));
  EXPECT_EQ(d.count, 2000LL * 50 * 4'000'000);
  EXPECT_NEAR(d.p50, 0.01 + 1e-7 * (4e6 - 1) / 2, 1e-6);
  EXPECT_NEAR(d.max, 0.01 + 1e-7 * (4e6 - 1), 1e-9);
}

TEST(GapRuns, NoneAndOne) {
  EXPECT_EQ(distribution_of(std::span<const GapRun>{}).count, 0);
  const GapRun one[] = {{0.5, 0, 1, 1}};
  const Distribution d = distribution_of(std::span<const GapRun>(one));
  EXPECT_EQ(d.p50, 0.5);
  EXPECT_EQ(d.p99, 0.5);
}

}  // namespace
}  // namespace headroom
