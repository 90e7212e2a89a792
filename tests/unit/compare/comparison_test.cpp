#include "validate/compare/comparison.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sim/config/errors.h"

namespace headroom {
namespace {

ComparedValue value(const char* name, double measured, double predicted, Interval interval = {}) {
  ComparedValue v;
  v.measured = MeasuredValue{measure_named(name), measured, -1};
  v.predicted = predicted;
  v.error = relative_error(predicted, measured);
  v.interval = interval;
  v.has_width = interval.high > interval.low;
  v.inside = interval.low <= measured && measured <= interval.high;
  return v;
}

TEST(Comparison, ErrorIsOfTheMeasuredValue) {
  EXPECT_NEAR(relative_error(110, 100), 0.1, 1e-15);
  EXPECT_DOUBLE_EQ(relative_error(50, 100), -0.5);
  EXPECT_EQ(relative_error(0, 0), 0);
  EXPECT_TRUE(std::isinf(relative_error(1, 0)));
}

TEST(Comparison, FamiliesHaveMedianWorstAndCoverage) {
  const MeasuredCase none;
  const ComparedCase cases[] = {
      {&none, {value("ttft_s.p50", 100, 110, {90, 120}), value("ttft_s.p99", 100, 70, {60, 80})}},
      {&none, {value("ttft_s.mean", 100, 101, {101, 101}), value("weights_bytes", 100, 100)}}};
  const auto families = errors_by_family(cases);
  ASSERT_EQ(families.size(), 2u);
  EXPECT_EQ(families[0].family, "ttft_s");
  EXPECT_EQ(families[0].values, 3);
  EXPECT_NEAR(families[0].median, 0.1, 1e-12);
  EXPECT_NEAR(families[0].worst, 0.3, 1e-12);
  EXPECT_EQ(families[0].with_interval, 2);  // without width there is nothing to cover
  EXPECT_EQ(families[0].inside, 1);
  EXPECT_EQ(families[1].with_interval, 0);
}

TEST(Comparison, BoundsHoldNamesFamiliesAndAll) {
  EXPECT_DOUBLE_EQ(parse_bound("ttft_s=5%").most, 0.05);
  EXPECT_DOUBLE_EQ(parse_bound("ttft_s.p50=0.1").most, 0.1);
  EXPECT_EQ(parse_bound("all=1 %").name, "all");
  for (const char* text : {"ttft_s", "=5%", "ttft_s=x%", "ttft_s=-1%", "ttft=5%", "ttft_s.p51=5%"})
    EXPECT_THROW(parse_bound(text), ConfigError) << text;
}

TEST(Comparison, ViolationsAreTheValuesBeyondTheirBound) {
  const MeasuredCase none;
  const ComparedCase cases[] = {{&none,
                                 {value("ttft_s.p50", 100, 105), value("ttft_s.p99", 100, 94),
                                  value("tpot_s.p50", 100, std::numeric_limits<double>::quiet_NaN())}}};
  const auto found = [&](const char* text) {
    const ErrorBound bounds[] = {parse_bound(text)};
    return violations(cases, bounds).size();
  };
  EXPECT_EQ(found("ttft_s=5.0001%"), 1u);
  EXPECT_EQ(found("ttft_s=6.0001%"), 0u);
  EXPECT_EQ(found("ttft_s.p50=4%"), 1u);
  EXPECT_EQ(found("tpot_s=100%"), 1u);  // what was not predicted at all is no success
  EXPECT_EQ(found("all=5.0001%"), 2u);
  EXPECT_THROW(found("e2el_s=5%"), ConfigError);  // a bound that nothing is held to could not fail
}

}  // namespace
}  // namespace headroom
