// Random numbers, lengths and arrival processes against their laws; bounds are four standard errors at fixed seeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/workload/arrivals.h"
#include "sim/workload/lengths.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

constexpr int kDraws = 200'000;

struct Moments {
  double mean = 0, variance = 0;
};
template <class Draw>
Moments moments(Draw draw) {
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double v = draw();
    sum += v;
    squares += v * v;
  }
  const double mean = sum / kDraws;
  return {mean, squares / kDraws - mean * mean};
}

TEST(Random, SameSeedAndNameSameDraws) {
  Random a(5, "x"), b(5, "x"), other(5, "y"), next(6, "x");
  const double first = a.uniform();
  EXPECT_EQ(first, b.uniform());
  EXPECT_NE(first, other.uniform());
  EXPECT_NE(first, next.uniform());
}

TEST(Random, UniformStaysInsideAndIsFlat) {
  Random r(1, "u");
  std::vector<int> bins(10);
  for (int i = 0; i < kDraws; ++i) {
    const double u = r.uniform();
    ASSERT_GT(u, 0);
    ASSERT_LT(u, 1);
    ++bins[static_cast<std::size_t>(u * 10)];
  }
  for (const int n : bins) EXPECT_NEAR(n, kDraws / 10, 4 * std::sqrt(kDraws * 0.09));
}

TEST(Random, ExponentialMeanAndDeviationAgree) {
  Random r(1, "e");
  const Moments m = moments([&] { return r.exponential(3.0); });
  EXPECT_NEAR(m.mean, 3, 4 * 3 / std::sqrt(kDraws));
  EXPECT_NEAR(std::sqrt(m.variance), 3, 0.05);
}

TEST(Lengths, MeansOfEveryLaw) {
  using enum LengthDistribution::Kind;
  struct {
    LengthDistribution law;
    double mean, deviation;
  } cases[] = {{{kFixed, 7, 0, 1, 0, {}}, 7, 0},
               {{kUniform, 0, 0, 10, 20, {}}, 15, std::sqrt((11 * 11 - 1) / 12.0)},
               {{kLognormal, 500, 0.8, 1, 0, {}}, 500, 400},
               {{kNormal, 500, 0.1, 1, 0, {}}, 500, 50},
               {{kExponential, 300, 0, 1, 0, {}}, 300.5, 300},
               {{kGeometric, 300, 0, 1, 0, {}}, 300, 299.5},
               {{kEmpirical, 0, 0, 1, 0, {1, 1, 4}}, 2, std::sqrt(2.0)}};
  for (const auto& c : cases) {
    Random r(3, "lengths");
    const Moments m = moments([&] { return static_cast<double>(draw_length(c.law, r)); });
    EXPECT_NEAR(m.mean, c.mean, 4 * c.deviation / std::sqrt(kDraws) + 0.6) << static_cast<int>(c.law.kind);
    EXPECT_NEAR(std::sqrt(std::max(0.0, m.variance)), c.deviation, 0.03 * c.deviation + 1e-6)
        << static_cast<int>(c.law.kind);
  }
}

TEST(Lengths, BoundsAreKeptByRedrawing) {
  LengthDistribution law{LengthDistribution::Kind::kLognormal, 100, 2, 50, 120, {}};
  Random r(3, "bounded");
  std::int64_t at_the_edge = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::int64_t n = draw_length(law, r);
    ASSERT_GE(n, 50);
    ASSERT_LE(n, 120);
    at_the_edge += n == 120;
  }
  EXPECT_LT(at_the_edge, 1000);  // cut off, not piled up at the bound
}

TEST(Lengths, AUniformLawReachesBothEnds) {
  const LengthDistribution law{LengthDistribution::Kind::kUniform, 0, 0, 3, 5, {}};
  Random r(3, "uniform");
  int seen[7] = {};
  for (int i = 0; i < 3000; ++i) ++seen[static_cast<std::size_t>(draw_length(law, r))];
  for (const int i : {3, 4, 5}) EXPECT_NEAR(seen[i], 1000, 4 * std::sqrt(3000 * 2 / 9.0)) << i;
}

TEST(Lengths, ALawOutsideItsBoundsEndsAtTheNearerOne) {
  Random r(3, "outside");
  LengthDistribution law{LengthDistribution::Kind::kFixed, 700, 0, 1, 512, {}};
  EXPECT_EQ(draw_length(law, r), 512);
  law.min = law.max = 900;
  EXPECT_EQ(draw_length(law, r), 900);
  law = {LengthDistribution::Kind::kNormal, 100, 0.1, 1'000'000, 0, {}};
  EXPECT_EQ(draw_length(law, r), 1'000'000);
}

TEST(Lengths, ATruncatedExponentialHasItsConditionalMean) {
  const double mean = 100, top = 150.5, low = 0.5;  // what rounds to 1 .. 150
  const LengthDistribution law{LengthDistribution::Kind::kExponential, mean, 0, 1, 150, {}};
  Random r(3, "truncated");
  const Moments m = moments([&] { return static_cast<double>(draw_length(law, r)); });
  const double a = std::exp(-low / mean), b = std::exp(-top / mean);
  EXPECT_NEAR(m.mean, mean + (low * a - top * b) / (a - b), 4 * std::sqrt(m.variance / kDraws) + 0.01);
}

Moments gaps(const std::vector<double>& times) {
  double sum = 0, squares = 0;
  for (std::size_t i = 1; i < times.size(); ++i) {
    const double gap = times[i] - times[i - 1];
    EXPECT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
  }
  const auto n = static_cast<double>(times.size() - 1);
  return {sum / n, squares / n - sum / n * (sum / n)};
}

TEST(Arrivals, BurstinessIsTheGammaShape) {
  for (const double shape : {0.25, 1.0, 4.0}) {
    ArrivalProcess a;
    a.kind = ArrivalProcess::Kind::kGamma;
    a.rate = 10;
    a.burstiness = shape;
    Random r(2, "arrivals");
    const Moments m = gaps(arrival_times(a, kDraws, r));
    EXPECT_NEAR(m.mean, 0.1, 4 * 0.1 / std::sqrt(shape * kDraws));
    EXPECT_NEAR(std::sqrt(m.variance) / m.mean, 1 / std::sqrt(shape), 0.03 / std::sqrt(shape));
  }
}

TEST(Arrivals, PoissonGapsAreExponential) {
  ArrivalProcess a;
  a.rate = 4;
  Random r(2, "arrivals");
  const auto times = arrival_times(a, kDraws, r);
  std::vector<double> all;
  for (std::size_t i = 1; i < times.size(); ++i) all.push_back(times[i] - times[i - 1]);
  std::sort(all.begin(), all.end());
  double worst = 0;  // Kolmogorov-Smirnov
  for (std::size_t i = 0; i < all.size(); ++i)
    worst =
        std::max(worst, std::abs(1 - std::exp(-4 * all[i]) - static_cast<double>(i) / static_cast<double>(all.size())));
  EXPECT_LT(worst, 1.95 / std::sqrt(static_cast<double>(all.size())));  // one in a thousand
}

TEST(Arrivals, ExactRateEndsOnTime) {
  ArrivalProcess a;
  a.rate = 5;
  a.exact_rate = true;
  Random r(2, "arrivals");
  EXPECT_NEAR(arrival_times(a, 1000, r).back(), 200, 1e-9);
  a.kind = ArrivalProcess::Kind::kGamma;
  a.burstiness = 0.1;
  EXPECT_NEAR(arrival_times(a, 1000, r).back(), 200, 1e-9);
  Random drawn(7, "arrivals"), scaled(7, "arrivals");  // every gap by the same factor
  const auto exact = arrival_times(a, 50, scaled);
  a.exact_rate = false;
  const auto plain = arrival_times(a, 50, drawn);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_NEAR(exact[i], plain[i] * 10 / plain.back(), 1e-12);
}

TEST(Arrivals, TwoRatesHaveTheirMean) {
  ArrivalProcess a;
  a.kind = ArrivalProcess::Kind::kOnOff;
  a.rate = 30;
  a.off_rate = 5;
  a.on_time = Seconds{1};
  a.off_time = Seconds{4};
  Random r(2, "arrivals");
  const auto times = arrival_times(a, kDraws, r);
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  EXPECT_NEAR(static_cast<double>(kDraws) / times.back(), (30 * 1 + 5 * 4) / 5.0, 0.2);  // SEMANTICS 8.1
  a.off_rate = a.rate;                                                                   // then it is a Poisson process
  Random same(2, "arrivals");
  const Moments m = gaps(arrival_times(a, kDraws, same));
  EXPECT_NEAR(m.mean, 1 / 30.0, 4 / 30.0 / std::sqrt(kDraws));
  EXPECT_NEAR(std::sqrt(m.variance) * 30, 1, 0.02);
}

TEST(Arrivals, NoneAndOne) {
  using enum ArrivalProcess::Kind;
  for (const auto kind : {kPoisson, kGamma, kConstant, kBatch, kOnOff}) {
    ArrivalProcess a;
    a.kind = kind;
    a.rate = 2;
    a.exact_rate = true;
    a.on_time = a.off_time = Seconds{1};
    Random r(2, "arrivals");
    EXPECT_TRUE(arrival_times(a, 0, r).empty());
    EXPECT_EQ(arrival_times(a, 1, r).size(), 1U);
  }
}

TEST(Arrivals, OnOffHasItsMeanRateAndClusters) {
  ArrivalProcess a;
  a.kind = ArrivalProcess::Kind::kOnOff;
  a.rate = 20;
  a.on_time = Seconds{2};
  a.off_time = Seconds{6};
  Random r(2, "arrivals");
  const auto times = arrival_times(a, kDraws, r);
  EXPECT_NEAR(static_cast<double>(kDraws) / times.back(), 20 * 2.0 / 8, 0.15);
  // Index of dispersion of counts in long windows: 1 + 2 r1 r2 (l1-l2)^2 / ((r1+r2)^2 (l1 r2 + l2 r1)), rates 1/2, 1/6.
  const double r1 = 0.5, r2 = 1.0 / 6, limit = 1 + 2 * r1 * r2 * 400 / ((r1 + r2) * (r1 + r2) * (20 * r2));
  const double window = 200;
  std::vector<double> counts(static_cast<std::size_t>(times.back() / window));
  for (const double t : times)
    if (const auto w = static_cast<std::size_t>(t / window); w < counts.size()) ++counts[w];
  double mean = 0, variance = 0;
  for (const double c : counts) mean += c / static_cast<double>(counts.size());
  for (const double c : counts) variance += (c - mean) * (c - mean) / static_cast<double>(counts.size());
  EXPECT_NEAR(variance / mean, limit, 0.35 * limit);
}

TEST(Arrivals, ConstantAndBatch) {
  ArrivalProcess a;
  a.kind = ArrivalProcess::Kind::kConstant;
  a.rate = 4;
  Random r(2, "arrivals");
  const auto times = arrival_times(a, 5, r);
  for (std::size_t i = 1; i < 5; ++i) EXPECT_NEAR(times[i] - times[i - 1], 0.25, 1e-12);
  a.kind = ArrivalProcess::Kind::kBatch;
  for (const double t : arrival_times(a, 5, r)) EXPECT_EQ(t, 0);
}

}  // namespace
}  // namespace headroom
