#include "sim/config/quantity.h"

#include <gtest/gtest.h>

namespace headroom {
namespace {

TEST(Quantity, UnitsOfEveryDimension) {
  struct {
    const char* text;
    Dimension dimension;
    double value;
  } cases[] = {{"80 GiB", Dimension::kSize, 80.0 * (1 << 30)},
               {"1.5 MB", Dimension::kSize, 1.5e6},
               {"4096 B", Dimension::kSize, 4096},
               {"3.35 TB/s", Dimension::kBandwidth, 3.35e12},
               {"989 TFLOP/s", Dimension::kCompute, 989e12},
               {"50 ms", Dimension::kTime, 0.05},
               {"10 us", Dimension::kTime, 1e-5},
               {"1 h", Dimension::kTime, 3600},
               {"3/s", Dimension::kRate, 3},
               {"90/min", Dimension::kRate, 1.5},
               {"300 W", Dimension::kPower, 300},
               {"1.006 USD/h", Dimension::kPricePerHour, 1.006}};
  for (const auto& c : cases) {
    const ParsedQuantity q = parse_quantity(c.text, c.dimension);
    EXPECT_EQ(q.problem, "") << c.text;
    EXPECT_NEAR(q.value, c.value, 1e-12 * c.value) << c.text;
  }
}

TEST(Quantity, WhatIsNoneIsSaid) {
  for (const char* text : {"", "80", "GiB", "80 GB/s", "nan GiB", "inf s", "1e999 s", "80 Gib", "8 0 GiB"})
    EXPECT_NE(parse_quantity(text, Dimension::kSize).problem, "") << text;
}

TEST(Quantity, PrintedReadsBack) {
  for (const std::int64_t bytes : {0LL, 1LL, 1023LL, 1024LL, 23686283264LL, 85899345920LL, 1LL << 40})
    EXPECT_EQ(parse_quantity(print(Bytes{bytes}), Dimension::kSize).value, static_cast<double>(bytes));
  for (const double seconds : {0.0, 1e-6, 1.5e-3, 0.1, 3600.0, 1.0 / 3})
    EXPECT_EQ(parse_quantity(print(Seconds{seconds}), Dimension::kTime).value, seconds);
}

TEST(Quantity, TimesArePrintedInFewDigits) {
  const auto again = [](const char* text) { return print(Seconds{parse_quantity(text, Dimension::kTime).value}); };
  EXPECT_EQ(again("10 us"), "10 us");
  EXPECT_EQ(again("17.3 us"), "1.73e-05 s");  // as few
  EXPECT_EQ(again("50 ms"), "0.05 s");
  EXPECT_EQ(again("1 h"), "3600 s");
  EXPECT_EQ(print(Seconds{0}), "0 s");
}

TEST(Quantity, PlainNumbersOnly) {
  EXPECT_EQ(parse_number("010"), 10);
  EXPECT_EQ(parse_number("1e3"), 1000);
  for (const char* text : {"", "nan", "inf", "0x10", "1 2", "1,000", "ten"}) EXPECT_FALSE(parse_number(text)) << text;
}

}  // namespace
}  // namespace headroom
