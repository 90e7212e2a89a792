// Dates and times of day as trace files write them.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace headroom {

struct TimeStamp {
  std::chrono::sys_days day;
  double second = 0;  // of that day, in [0, 86401)
};

// "2023-11-16 18:17:03.9799600", with a space or a T; a trailing Z or +00:00 may stand behind it. Nothing for any other
// text, other zones and impossible dates included.
std::optional<TimeStamp> parse_time_stamp(std::string_view text);

// Seconds from the midnight that begins `origin`. Exact to 1e-10 s within months of it, which seconds since 1970 in a
// double would not be.
double seconds_since(std::chrono::sys_days origin, const TimeStamp& stamp);

}  // namespace headroom
