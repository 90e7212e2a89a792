#include "sim/workload/time_stamp.h"

#include <gtest/gtest.h>

namespace headroom {
namespace {

double seconds_between(const char* from, const char* to) {
  const auto a = parse_time_stamp(from), b = parse_time_stamp(to);
  if (!a || !b) return -1;
  return seconds_since(a->day, *b) - seconds_since(a->day, *a);
}

TEST(TimeStamp, DifferencesCrossMidnightsMonthsAndYears) {
  struct {
    const char *from, *to;
    double seconds;
  } cases[] = {
      {"2023-11-16 18:17:03.9799600", "2023-11-16 18:17:04.0319600", 0.052},
      {"2023-11-16 23:59:59.5", "2023-11-17 00:00:00.25", 0.75},
      {"2023-11-30 23:59:59", "2023-12-01 00:00:01", 2},
      {"2023-12-31 23:59:59", "2024-01-01 00:00:00", 1},
      {"2024-02-28 00:00:00", "2024-03-01 00:00:00", 2 * 86400},  // a leap year
      {"2023-02-28 00:00:00", "2023-03-01 00:00:00", 86400},
      {"2024-05-10 00:00:00.009930+00:00", "2024-05-10T00:00:01.009930Z", 1},
  };
  for (const auto& c : cases) EXPECT_NEAR(seconds_between(c.from, c.to), c.seconds, 1e-9) << c.from;
}

TEST(TimeStamp, WhatIsNoTimeGivesNothing) {
  for (const char* text :
       {"", "2023-11-16", "2023-11-16 18:17", "2023-11-16 18:17:0", "2023/11/16 18:17:03", "2023-13-01 00:00:00",
        "2023-02-29 00:00:00", "2023-11-00 00:00:00", "2023-11-16 24:00:00", "2023-11-16 18:60:00",
        "2023-11-16 18:17:61", "2023-11-16 18:17:03,5", "2023-11-16 18:17:03.5x", "2023-11-16 18:17:03+01:00",
        "1e99-11-16 18:17:03", "-023-11-16 18:17:03", "2023-11-16_18:17:03", "2023-11-16 18:17:nan"})
    EXPECT_FALSE(parse_time_stamp(text)) << text;
  EXPECT_TRUE(parse_time_stamp("2016-12-31 23:59:60"));  // a leap second
}

}  // namespace
}  // namespace headroom
