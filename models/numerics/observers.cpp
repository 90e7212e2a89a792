#include "models/numerics/observers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace headroom {
namespace {

constexpr std::array kObservers{ObserverEntry{Observer::kMinMax, "min-max"},
                                ObserverEntry{Observer::kPercentile, "percentile"},
                                ObserverEntry{Observer::kMse, "mse"}, ObserverEntry{Observer::kEntropy, "entropy"}};

constexpr std::size_t kClips = 128;   // that kMse tries
constexpr std::size_t kLevels = 128;  // magnitudes of int8: 0 to 127

float percentile_clip(const MagnitudeHistogram& seen, double percentile) {
  const double wanted = percentile / 100 * static_cast<double>(seen.total());
  std::int64_t sum = 0;
  for (std::size_t bin = 0; bin < MagnitudeHistogram::kBins; ++bin) {
    sum += seen.counts()[bin];
    if (static_cast<double>(sum) >= wanted) return seen.edge(bin);
  }
  return seen.largest();
}

float least_squares_clip(const MagnitudeHistogram& seen, NumberFormat to) {
  const float largest_code = limits_of(to).largest;
  double least = std::numeric_limits<double>::infinity();
  float best = seen.largest();
  for (std::size_t i = 1; i <= kClips; ++i) {
    const float clip = seen.edge(MagnitudeHistogram::kBins / kClips * i - 1);
    const float scale = clip / largest_code;
    if (!(scale > 0)) continue;
    double error = 0;
    for (std::size_t bin = 0; bin < MagnitudeHistogram::kBins; ++bin) {
      if (seen.counts()[bin] == 0) continue;
      const float x = seen.centre(bin);
      const double d = static_cast<double>(x - quantize_static(to, x, scale));
      error += static_cast<double>(seen.counts()[bin]) * d * d;
    }
    if (error < least) {
      least = error;
      best = clip;
    }
  }
  return best;
}

// Divergence of P, the first `bins` bins with the outliers added to the last, from Q, the same without outliers merged
// to kLevels levels and spread back evenly over the bins that P fills. Where Q is empty and P is not, Q counts 1e-4
// values, as MXNet's smoothing has it.
double divergence(const std::vector<std::int64_t>& counts, std::size_t bins, std::int64_t outliers, double total) {
  double sum = 0;
  for (std::size_t level = 0; level < kLevels; ++level) {
    const std::size_t from = level * bins / kLevels, to = (level + 1) * bins / kLevels;
    const auto p = [&](std::size_t bin) { return counts[bin] + (bin + 1 == bins ? outliers : 0); };
    std::int64_t mass = 0, filled = 0;
    for (std::size_t bin = from; bin < to; ++bin) {
      mass += counts[bin];
      if (p(bin) > 0) ++filled;
    }
    if (filled == 0) continue;
    const double q = mass > 0 ? static_cast<double>(mass) / static_cast<double>(filled) : 1e-4;
    for (std::size_t bin = from; bin < to; ++bin)
      if (p(bin) > 0) sum += static_cast<double>(p(bin)) * std::log(static_cast<double>(p(bin)) / q);
  }
  // P sums to the total, Q to what is inside: normalising both adds this.
  const double inside = total - static_cast<double>(outliers);
  return inside <= 0 ? std::numeric_limits<double>::infinity() : sum / total + std::log(inside / total);
}

float least_divergence_clip(const MagnitudeHistogram& seen) {
  const auto& counts = seen.counts();
  const auto total = static_cast<double>(seen.total());
  std::int64_t outliers = seen.total();
  for (std::size_t bin = 0; bin < kLevels - 1; ++bin) outliers -= counts[bin];
  double least = std::numeric_limits<double>::infinity();
  std::size_t best = MagnitudeHistogram::kBins;
  for (std::size_t bins = kLevels; bins <= MagnitudeHistogram::kBins; ++bins) {
    outliers -= counts[bins - 1];
    const double d = divergence(counts, bins, outliers, total);
    if (d < least) {
      least = d;
      best = bins;
    }
  }
  return seen.edge(best - 1);
}

}  // namespace

std::span<const ObserverEntry> observers() {
  return kObservers;
}
std::optional<Observer> observer_named(std::string_view name) {
  for (const ObserverEntry& entry : kObservers)
    if (entry.name == name) return entry.observer;
  return std::nullopt;
}
std::string_view name_of(Observer observer) {
  return kObservers[static_cast<std::size_t>(observer)].name;
}

MagnitudeHistogram::MagnitudeHistogram(float largest)
    : largest_(largest), per_unit_(largest > 0 ? static_cast<float>(kBins) / largest : 0), counts_(kBins, 0) {
  if (!std::isfinite(per_unit_)) per_unit_ = 0;  // of subnormal magnitudes: all in the first bin
}

void MagnitudeHistogram::add(std::span<const float> values) {
  constexpr auto last = static_cast<float>(kBins - 1);
  for (const float v : values) {
    if (std::isnan(v)) continue;
    ++counts_[static_cast<std::size_t>(std::min(std::abs(v) * per_unit_, last))];
    ++total_;
  }
}

float MagnitudeHistogram::edge(std::size_t bin) const {
  return largest_ * (static_cast<float>(bin + 1) / static_cast<float>(kBins));
}
float MagnitudeHistogram::centre(std::size_t bin) const {
  return largest_ * ((static_cast<float>(bin) + 0.5f) / static_cast<float>(kBins));
}

bool takes_static_scale(NumberFormat format) {
  return format == NumberFormat::kInt8 || format == NumberFormat::kFp8E4m3 || format == NumberFormat::kFp8E5m2;
}

float clip_value(Observer observer, const MagnitudeHistogram& seen, const ObserverOptions& options) {
  if (seen.largest() == 0 || seen.total() == 0) return 0;
  switch (observer) {
    case Observer::kMinMax:
      return seen.largest();
    case Observer::kPercentile:
      return percentile_clip(seen, options.percentile);
    case Observer::kMse:
      return least_squares_clip(seen, options.to);
    case Observer::kEntropy:
      return least_divergence_clip(seen);
  }
  return seen.largest();
}

}  // namespace headroom
