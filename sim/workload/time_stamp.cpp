#include "sim/workload/time_stamp.h"

#include <charconv>

namespace headroom {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "0000-00-00 00:00:00" with a digit for each zero.
bool has_the_form(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00 00:00:00";
  if (text.size() < kForm.size()) return false;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const char want = kForm[i], got = text[i];
    const bool fits = want == '0' ? is_digit(got) : want == ' ' ? got == ' ' || got == 'T' : got == want;
    if (!fits) return false;
  }
  return true;
}

int digits(std::string_view text, std::size_t at, std::size_t length) {
  int value = 0;
  for (const char c : text.substr(at, length)) value = value * 10 + (c - '0');
  return value;
}

}  // namespace

std::optional<TimeStamp> parse_time_stamp(std::string_view text) {
  for (const std::string_view zone : {"Z", "+00:00"})
    if (text.ends_with(zone)) {
      text.remove_suffix(zone.size());
      break;
    }
  if (!has_the_form(text)) return std::nullopt;
  std::string_view seconds = text.substr(17);  // "03.9799600": the form has made sure of its first two digits
  for (std::size_t i = 2; i < seconds.size(); ++i)
    if (i == 2 ? seconds[i] != '.' : !is_digit(seconds[i])) return std::nullopt;
  double second = 0;
  std::from_chars(seconds.data(), seconds.data() + seconds.size(), second);
  using namespace std::chrono;
  const year_month_day date{year{digits(text, 0, 4)}, month{static_cast<unsigned>(digits(text, 5, 2))},
                            day{static_cast<unsigned>(digits(text, 8, 2))}};
  const int hour = digits(text, 11, 2), minute = digits(text, 14, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second >= 61) return std::nullopt;  // 60: a leap second
  return TimeStamp{sys_days{date}, hour * 3600 + minute * 60 + second};
}

double seconds_since(std::chrono::sys_days origin, const TimeStamp& stamp) {
  return static_cast<double>((stamp.day - origin).count()) * 86400 + stamp.second;
}

}  // namespace headroom
