// Percentiles as numpy has them; of runs of gaps exactly as if every gap had been written out.
#include <gtest/gtest.h>

#include <cmath>

#include "sim/metrics/summary.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

TEST(Percentile, IsNumpysLinearOne) {
  const double v[] = {1, 2, 4, 8};
  EXPECT_EQ(percentile(v, 0), 1);
  EXPECT_EQ(percentile(v, 50), 3);  // numpy.percentile([1, 2, 4, 8], 50)
  EXPECT_NEAR(percentile(v, 90), 6.8, 1e-12);
  EXPECT_EQ(percentile(v, 100), 8);
  EXPECT_EQ(percentile(std::span<const double>{}, 50), 0);
}

TEST(Percentile, OfPlainValues) {
  std::vector<double> values{5, 1, 4, 2, 3};
  const Distribution d = distribution_of(values);
  EXPECT_EQ(d.count, 5);
  EXPECT_DOUBLE_EQ(d.mean, 3);
  EXPECT_DOUBLE_EQ(d.p50, 3);
  EXPECT_DOUBLE_EQ(d.p90, 4.6);  // numpy.percentile([1, 2, 3, 4, 5], 90)
  EXPECT_DOUBLE_EQ(d.p95, 4.8);
  EXPECT_DOUBLE_EQ(d.p99, 4.96);
  EXPECT_EQ(d.max, 5);
  std::vector<double> none, one{7};
  EXPECT_EQ(distribution_of(none).count, 0);
  EXPECT_EQ(distribution_of(none).max, 0);
  EXPECT_EQ(distribution_of(one).p50, 7);
  EXPECT_EQ(distribution_of(one).p99, 7);
}

Distribution written_out(std::span<const GapRun> runs) {
  std::vector<double> values;
  for (const GapRun& r : runs)
    for (std::uint32_t i = 0; i < r.steps; ++i)
      for (std::uint32_t k = 0; k < r.sequences; ++k) values.push_back(r.first + static_cast<double>(i) * r.slope);
  Distribution d = distribution_of(values);
  long double sum = 0;  // hundreds of thousands of doubles added up one by one lose digits
  for (const double v : values) sum += v;
  d.mean = static_cast<double>(sum / static_cast<long double>(values.size()));
  return d;
}

void expect_same(std::span<const GapRun> runs) {
  const Distribution fast = distribution_of(runs), plain = written_out(runs);
  EXPECT_EQ(fast.count, plain.count);
  EXPECT_NEAR(fast.mean, plain.mean, 1e-12 * std::abs(plain.mean));
  EXPECT_EQ(fast.p50, plain.p50);
  EXPECT_EQ(fast.p90, plain.p90);
  EXPECT_EQ(fast.p95, plain.p95);
  EXPECT_EQ(fast.p99, plain.p99);
  EXPECT_EQ(fast.max, plain.max);
}

TEST(GapRuns, EqualTheirValuesOneByOne) {
  Random random(3, "gaps");
  for (int trial = 0; trial < 300; ++trial) {
    SCOPED_TRACE(trial);
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
    expect_same(runs);
  }
}

// Enough values that they are selected, not written out and sorted. Each law makes one run out of a random number.
TEST(GapRuns, SelectionIsExactWhateverTheValuesLookLike) {
  using Make = GapRun (*)(Random&);
  const struct {
    const char* what;
    Make make;
  } laws[] = {
      {"narrow runs",
       [](Random& r) {
         return GapRun{0.01 + 0.04 * r.uniform(), 1e-7, 40, 2};
       }},
      {"runs as wide as everything",
       [](Random& r) {
         return GapRun{0.01 * r.uniform(), 1e-3 * r.uniform(), 40, 2};
       }},
      {"falling runs",
       [](Random& r) {
         return GapRun{0.05 + r.uniform(), -1e-3, 40, 2};
       }},
      {"rising, falling and level",
       [](Random& r) {
         return GapRun{0.05 + r.uniform(), 1e-3 * (static_cast<double>(r.below(3)) - 1), 40, 2};
       }},
      {"one value",
       [](Random&) {
         return GapRun{0.02, 0, 40, 2};
       }},
      {"two values",
       [](Random& r) {
         return GapRun{r.below(2) == 0 ? 0.02 : 0.03, 0, 40, 2};
       }},
      {"the same run again and again",
       [](Random&) {
         return GapRun{0.02, 1e-5, 40, 2};
       }},
      {"a grid with many ties",
       [](Random& r) {
         return GapRun{0.25 * static_cast<double>(r.below(8)), 0.125, 40, 2};
       }},
      {"slopes below the last digit",
       [](Random& r) {
         return GapRun{0.02 + 1e-17 * r.uniform(), 1e-19, 40, 2};
       }},
      {"a few far outliers",
       [](Random& r) {
         return GapRun{r.below(500) == 0 ? 1e6 * r.uniform() : 0.02, 1e-6, 40, 2};
       }},
      {"powers of ten",
       [](Random& r) {
         return GapRun{std::pow(10, 30 * r.uniform() - 20), 1e-9, 40, 2};
       }},
      {"weights from one to a million",
       [](Random& r) {
         return GapRun{r.uniform(), 1e-6, 40, r.below(4000) == 0 ? 40'000U : 1U};
       }},
  };
  for (const auto& law : laws) {
    SCOPED_TRACE(law.what);
    Random random(8, law.what);
    std::vector<GapRun> runs(8000);
    for (GapRun& run : runs) run = law.make(random);
    expect_same(runs);
  }
}

TEST(GapRuns, AFewVeryLongRunsOfEitherDirection) {
  for (const double slope : {1e-9, -1e-9, 3e-20}) {
    SCOPED_TRACE(slope);
    const GapRun runs[] = {{0.02, slope, 600'000, 1}, {0.0201, -slope, 300'000, 3}, {0.5, 0, 1, 7}};
    expect_same(runs);
  }
}

TEST(GapRuns, ManyMoreThanCanBeWrittenOut) {
  std::vector<GapRun> runs(2000, GapRun{0.01, 1e-7, 4'000'000, 50});
  const Distribution d = distribution_of(std::span<const GapRun>(runs));
  EXPECT_EQ(d.count, 2000LL * 50 * 4'000'000);
  EXPECT_NEAR(d.p50, 0.01 + 1e-7 * (4e6 - 1) / 2, 1e-7);
  EXPECT_NEAR(d.p99, 0.01 + 1e-7 * (4e6 - 1) * 0.99, 1e-7);
  EXPECT_NEAR(d.max, 0.01 + 1e-7 * (4e6 - 1), 1e-9);
}

TEST(GapRuns, NoneOneAndEmptyOnes) {
  EXPECT_EQ(distribution_of(std::span<const GapRun>{}).count, 0);
  const GapRun one[] = {{0.5, 0, 1, 1}};
  const Distribution d = distribution_of(std::span<const GapRun>(one));
  EXPECT_EQ(d.p50, 0.5);
  EXPECT_EQ(d.p99, 0.5);
  const GapRun with_empty[] = {{9, 1, 0, 5}, {0.5, 1, 2, 1}, {9, 1, 5, 0}};
  const Distribution two = distribution_of(std::span<const GapRun>(with_empty));
  EXPECT_EQ(two.count, 2);
  EXPECT_EQ(two.mean, 1);
  EXPECT_EQ(two.p50, 1);
  EXPECT_EQ(two.max, 1.5);
}

}  // namespace
}  // namespace headroom
