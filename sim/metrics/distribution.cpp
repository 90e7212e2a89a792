// Percentiles of plain values.
#include <algorithm>
#include <cmath>

#include "sim/metrics/summary.h"

namespace headroom {

double percentile(std::span<const double> sorted, double q) {
  if (sorted.empty()) return 0;
  const double at = q / 100 * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

Distribution distribution_of(std::vector<double>& values) {
  Distribution d;
  d.count = static_cast<std::int64_t>(values.size());
  if (values.empty()) return d;
  double sum = 0;
  for (const double v : values) sum += v;
  d.mean = sum / static_cast<double>(values.size());
  // Only the ranks asked for are brought to their place, each among what the one before left above it.
  auto from = values.begin();
  const auto at_percent = [&](double q) {
    const double at = q / 100 * static_cast<double>(values.size() - 1);
    const auto low = values.begin() + static_cast<std::ptrdiff_t>(at);
    std::nth_element(from, low, values.end());
    from = low;
    if (low + 1 == values.end()) return *low;
    return *low + (at - std::floor(at)) * (*std::min_element(low + 1, values.end()) - *low);
  };
  d.p50 = at_percent(50);
  d.p90 = at_percent(90);
  d.p95 = at_percent(95);
  d.p99 = at_percent(99);
  d.max = *std::max_element(from, values.end());
  return d;
}

}  // namespace headroom
