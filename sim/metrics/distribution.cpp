// Percentiles, of plain values and of runs of values.
//
// Millions of gaps between tokens come as arithmetic progressions with a weight. An order statistic is found without
// writing them out: count how many values fall into each of kBuckets slices of the range, keep the slice that holds
// the wanted rank, slice again, and write out only what is left. Exact, since values are compared as they would have
// been computed one by one (first + i * slope, monotone in i).
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/metrics/summary.h"

namespace headroom {
namespace {

constexpr std::size_t kBuckets = 4096;
constexpr std::int64_t kMostWrittenOut = 200'000;

double value_of(const GapRun& run, std::uint32_t i) {
  return run.first + static_cast<double>(i) * run.slope;
}

// How many of the run's values, in its own order, are on the near side of `edge`: below it for rising runs, not below
// it for falling ones.
std::uint32_t leading(const GapRun& run, double edge) {
  const bool rising = run.slope >= 0;
  const auto near = [&](std::uint32_t i) { return (value_of(run, i) < edge) == rising; };
  if (!near(0)) return 0;
  if (near(run.steps - 1)) return run.steps;
  const double guess = std::clamp((edge - run.first) / run.slope, 0.0, static_cast<double>(run.steps - 1));
  auto i = static_cast<std::uint32_t>(guess);
  while (i > 0 && !near(i)) --i;
  while (near(i)) ++i;
  return i;
}

std::uint32_t count_below(const GapRun& run, double edge) {
  const std::uint32_t n = leading(run, edge);
  return run.slope >= 0 ? n : run.steps - n;
}

struct Slices {
  double low, high;                            // [low, high]
  double edge(std::size_t k) const {
    if (k == 0) return low;
    if (k >= kBuckets) return std::nextafter(high, std::numeric_limits<double>::infinity());
    return low + (high - low) * (static_cast<double>(k) / kBuckets);
  }
  std::size_t of(double v) const {
    auto k = static_cast<std::size_t>(
        std::clamp((v - low) / (high - low) * kBuckets, 0.0, static_cast<double>(kBuckets - 1)));
    while (k > 0 && v < edge(k)) --k;
    while (k + 1 < kBuckets && v >= edge(k + 1)) ++k;
    return k;
  }
};

// The value of rank `rank` (from 0) among those in [low, high]; `below` of all values are smaller than low.
double order_statistic(std::span<const GapRun> runs, double low, double high, std::int64_t rank) {
  std::int64_t below = 0;
  for (;;) {
    if (!(low < high)) return low;
    const Slices slices{low, high};
    std::vector<std::int64_t> weight(kBuckets), written(kBuckets);
    const double past = slices.edge(kBuckets);
    for (const GapRun& run : runs) {
      double least = run.first, most = value_of(run, run.steps - 1);
      if (least > most) std::swap(least, most);
      if (most < low || least >= past) continue;
      const std::size_t from = least < low ? 0 : slices.of(least);
      const std::size_t to = most >= past ? kBuckets - 1 : slices.of(most);
      std::uint32_t before = least < low ? count_below(run, low) : 0;
      for (std::size_t k = from; k <= to; ++k) {
        const std::uint32_t until =
            k == to && most < past ? run.steps : count_below(run, slices.edge(k + 1));
        weight[k] += static_cast<std::int64_t>(until - before) * run.sequences;
        written[k] += until - before;
        before = until;
      }
    }
    std::size_t k = 0;
    while (below + weight[k] <= rank) below += weight[k++];
    const double edge = slices.edge(k + 1);
    const double next_low = slices.edge(k);
    const double next_high = std::nextafter(edge, -std::numeric_limits<double>::infinity());
    if (written[k] > kMostWrittenOut && (next_low > low || next_high < high)) {
      low = next_low;
      high = next_high;
      continue;
    }
    std::vector<std::pair<double, std::int64_t>> values;
    values.reserve(static_cast<std::size_t>(written[k]));
    for (const GapRun& run : runs) {
      std::uint32_t from = count_below(run, next_low), to = count_below(run, edge);
      if (run.slope < 0) {                     // a falling run has its smallest values last
        std::swap(from, to);
        from = run.steps - from;
        to = run.steps - to;
      }
      for (std::uint32_t i = from; i < to; ++i) values.emplace_back(value_of(run, i), run.sequences);
    }
    std::sort(values.begin(), values.end());
    for (const auto& [value, sequences] : values) {
      below += sequences;
      if (below > rank) return value;
    }
    return high;
  }
}

}  // namespace

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
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const double v : values) sum += v;
  d.mean = sum / static_cast<double>(values.size());
  d.p50 = percentile(values, 50);
  d.p90 = percentile(values, 90);
  d.p95 = percentile(values, 95);
  d.p99 = percentile(values, 99);
  d.max = values.back();
  return d;
}

Distribution distribution_of(std::span<const GapRun> gaps) {
  Distribution d;
  double sum = 0;
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (const GapRun& run : gaps) {
    const auto n = static_cast<double>(run.steps);
    d.count += static_cast<std::int64_t>(run.steps) * run.sequences;
    sum += run.sequences * (n * run.first + n * (n - 1) / 2 * run.slope);
    least = std::min({least, run.first, value_of(run, run.steps - 1)});
    most = std::max({most, run.first, value_of(run, run.steps - 1)});
  }
  if (d.count == 0) return d;
  d.mean = sum / static_cast<double>(d.count);
  d.max = most;
  const auto at_percent = [&](double q) {
    const double at = q / 100 * static_cast<double>(d.count - 1);
    const auto low = static_cast<std::int64_t>(at);
    const double value = order_statistic(gaps, least, most, low);
    const double fraction = at - static_cast<double>(low);
    if (fraction == 0 || low + 1 >= d.count) return value;
    return value + fraction * (order_statistic(gaps, least, most, low + 1) - value);
  };
  d.p50 = at_percent(50);
  d.p90 = at_percent(90);
  d.p95 = at_percent(95);
  d.p99 = at_percent(99);
  return d;
}

}  // namespace headroom
