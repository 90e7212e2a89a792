// The figures of a run that a report shows and compares, in one table.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace headroom {

enum class MetricUnit { kCount, kNumber, kTime, kSize, kShare, kDollars };
enum class Better { kLower, kHigher, kNeither };

struct Metric {
  std::string_view path;  // in summary.json
  std::string_view label;
  MetricUnit unit;
  Better better;
  std::string_view group;
};

std::span<const Metric> metrics();
// Null when no metric has the path.
const Metric* metric_at(std::string_view path);

std::string text_of(const Metric& metric, double value);  // "–" for NaN

struct Change {
  std::string text;  // "1.8 times, better"; empty: nothing to say
  int verdict = 0;   // 1: better, -1: worse, 0: neither
};
Change change_of(const Metric& metric, double from, double to);

}  // namespace headroom
