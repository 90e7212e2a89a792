// Random numbers against their laws: whole distribution functions (Kolmogorov-Smirnov), not only moments.
#include "sim/workload/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/gamma.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <vector>

namespace headroom {
namespace {

constexpr std::size_t kDraws = 100'000;

// Largest distance between the drawn and the given distribution function, times sqrt(n); above 1.95 once in a thousand.
template <class Draw, class Law>
double kolmogorov(Draw draw, Law law, std::size_t draws = kDraws) {
  std::vector<double> values(draws);
  for (double& v : values) v = draw();
  std::sort(values.begin(), values.end());
  double worst = 0;
  const auto n = static_cast<double>(draws);
  for (std::size_t i = 0; i < draws; ++i) {
    const double below = static_cast<double>(i) / n, upto = static_cast<double>(i + 1) / n;
    const double p = law(values[i]);
    worst = std::max({worst, p - below, upto - p});
  }
  return worst * std::sqrt(n);
}

TEST(Random, TheEndsOfTheUnitIntervalAreNeverReached) {
  EXPECT_GT(Random::inside_unit(0), 0);
  EXPECT_LT(Random::inside_unit(~0ULL), 1);
  EXPECT_LT(Random::inside_unit(1ULL << 63), 0.5 + 1e-15);
  EXPECT_GT(Random::inside_unit(1ULL << 63), 0.5);
}

TEST(Random, StreamsAreTheSameOnEveryMachine) {
  Random r(1, "arrivals");
  const std::uint64_t expected[] = {0x9d9b8645aead3cd0ULL, 0x2b135a35abf4c985ULL, 0x0a0a46cc5bd5e933ULL};
  for (const std::uint64_t bits : expected) EXPECT_EQ(r.bits(), bits);
}

TEST(Random, StreamsOfTwoSourcesOrSeedsAreUncorrelated) {
  const struct {
    Random a, b;
  } pairs[] = {{Random(1, "a"), Random(1, "b")}, {Random(1, "a"), Random(2, "a")}, {Random(0, ""), Random(1, "")}};
  for (const auto& pair : pairs) {
    Random a = pair.a, b = pair.b;
    double product = 0;
    for (std::size_t i = 0; i < kDraws; ++i) product += (a.uniform() - 0.5) * (b.uniform() - 0.5);
    EXPECT_NEAR(product / kDraws, 0, 4 / 12.0 / std::sqrt(static_cast<double>(kDraws)));
  }
}

TEST(Random, BelowReachesEveryValueAndNoOther) {
  Random r(1, "below");
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen.at(r.below(7));
  for (const int n : seen) EXPECT_NEAR(n, 1000, 4 * std::sqrt(7000 * 6.0 / 49));
  EXPECT_EQ(r.below(1), 0U);
}

TEST(Random, NormalQuantileAgreesWithAnotherImplementation) {
  const boost::math::normal law;
  for (const double tail : {0.5, 0.4, 0.1, 0.0751, 0.0749, 1e-2, 1e-5, 1.3e-11, 1.5e-11, 1e-16, 1e-100, 1e-300}) {
    const double expected = boost::math::quantile(law, tail);
    EXPECT_NEAR(normal_quantile(tail), expected, 4e-15 * std::max(1.0, std::abs(expected))) << tail;
    if (tail > 1e-12) {  // below that 1 - tail keeps too few digits of it
      EXPECT_NEAR(normal_quantile(1 - tail), boost::math::quantile(law, 1 - tail), 1e-14) << tail;
    }
  }
  EXPECT_EQ(normal_quantile(0.5), 0);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
  EXPECT_LT(normal_quantile(Random::inside_unit(~0ULL)), 9);  // finite, whatever is drawn
  EXPECT_GT(normal_quantile(Random::inside_unit(0)), -9);
}

TEST(Random, NormalAndLognormalFollowTheirLaws) {
  Random r(4, "normal");
  const boost::math::normal law;
  EXPECT_LT(kolmogorov([&] { return r.normal(); }, [&](double x) { return cdf(law, x); }), 1.95);
  for (const double cv : {0.1, 1.0, 3.0}) {
    const double sigma = std::sqrt(std::log(1 + cv * cv)), median = 300 / std::sqrt(1 + cv * cv);
    EXPECT_LT(kolmogorov([&] { return r.lognormal(300, cv); },
                         [&](double x) { return cdf(law, std::log(x / median) / sigma); }),
              1.95)
        << cv;
  }
  EXPECT_NEAR(r.lognormal(300, 0), 300, 1e-9);
}

TEST(Random, GammaOfAnyShapeFollowsItsLaw) {
  for (const double shape : {0.05, 0.25, 0.999, 1.0, 1.001, 2.5, 40.0, 1e5}) {
    Random r(4, "gamma");
    const boost::math::gamma_distribution<> law(shape, 3);
    EXPECT_LT(kolmogorov([&] { return r.gamma(shape, 3); }, [&](double x) { return cdf(law, x); }, 30'000), 1.95)
        << shape;
  }
  Random r(4, "gamma");
  for (int i = 0; i < 10'000; ++i) {  // the ends of what a scenario may ask for
    ASSERT_GE(r.gamma(1e-3, 1), 0);
    ASSERT_NEAR(r.gamma(1e6, 1e-6), 1, 0.01);
  }
}

TEST(Random, GeometricCountsTrialsUpToTheFirstSuccess) {
  Random r(4, "geometric");
  const double p = 1 / 2.5;
  std::vector<double> counts(12);
  for (std::size_t i = 0; i < kDraws; ++i) {
    const auto n = static_cast<std::size_t>(r.geometric(2.5));
    ASSERT_GE(n, 1U);
    if (n < counts.size()) ++counts[n];
  }
  for (std::size_t n = 1; n < counts.size(); ++n) {
    const double share = p * std::pow(1 - p, static_cast<double>(n - 1));
    EXPECT_NEAR(counts[n], kDraws * share, 4 * std::sqrt(kDraws * share * (1 - share))) << n;
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(r.geometric(1), 1);
}

}  // namespace
}  // namespace headroom
