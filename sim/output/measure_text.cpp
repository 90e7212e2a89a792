#include "sim/output/measure_text.h"

#include <fmt/format.h>

#include <cmath>

namespace headroom {
namespace {

constexpr std::string_view kFirst[] = {"requests_per_s", "output_tokens_per_s", "ttft_s.p50", "ttft_s.p99",
                                       "tpot_s.p50",     "tpot_s.p99",          "e2el_s.p50", "kv_pool_tokens"};

std::string interval_text(const Intervals& intervals, const Measure& measure) {
  const auto found = intervals.find(measure.name);
  if (found == intervals.end()) return "-";
  return measure_text(measure.dimension, found->second.low) + " to " +
         measure_text(measure.dimension, found->second.high);
}

}  // namespace

std::string measure_text(Dimensions dimension, double value) {
  if (std::isnan(value)) return "-";
  switch (dimension) {
    case Dimensions::kTime:
      if (std::abs(value) < 1e-3) return fmt::format("{:.3g} us", value * 1e6);
      return std::abs(value) < 1 ? fmt::format("{:.3g} ms", value * 1e3) : fmt::format("{:.4g} s", value);
    case Dimensions::kRate:
      return std::abs(value) >= 1000 ? fmt::format("{:.0f} /s", value) : fmt::format("{:.3g} /s", value);
    case Dimensions::kSize:
      return fmt::format("{:.3f} GiB", value / static_cast<double>(kGiB));
    case Dimensions::kCount:
      break;
  }
  return std::abs(value) >= 1000 || value == std::floor(value) ? fmt::format("{:.0f}", value)
                                                               : fmt::format("{:.3g}", value);
}

std::string intervals_table(std::span<const VariantIntervals> variants) {
  std::string text = fmt::format(
      "{:.0f} % intervals: errors of profile and preset, {} draws of the workload, what measured runs were missed by\n",
      100 * kIntervalLevel, kDraws);
  const auto line = [&](std::string_view label, auto&& cell) {
    std::string row = fmt::format("  {:<20}", label);
    for (const VariantIntervals& v : variants) row += fmt::format("  {:>24}", cell(v));
    text += row + "\n";
  };
  if (variants.size() > 1) line("", [](const VariantIntervals& v) { return v.name; });
  for (const std::string_view name : kFirst) {
    const Measure& measure = *measure_named(name);
    line(name, [&](const VariantIntervals& v) { return interval_text(v.intervals, measure); });
  }
  return text;
}

}  // namespace headroom
