#include "validate/microbench/collective_fit.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "validate/kernels/collective.h"

namespace headroom {
namespace {

struct Sample {
  double bus_bytes, seconds;
};

// What the law's bandwidth divides.
double bus_bytes(const MeasuredPoint& p) {
  return collective_seconds({BytesPerSecond{1}, Seconds{0}}, p);
}

}  // namespace

bool is_fitted_collective(const MeasuredPoint& p) {
  return p.family == Family::kCollective && p.label == name_of(Collective::kAllReduce);
}

double collective_seconds(const CollectiveLink& link, const MeasuredPoint& p) {
  const auto gpus = static_cast<double>(p.key[0]), bytes = static_cast<double>(p.key[1]);
  const std::string_view label(p.label);
  if (label.starts_with(name_of(Collective::kAllReduce))) return all_reduce_time(link, gpus, bytes).count();
  if (label == name_of(Collective::kSendReceive)) return link.latency.count() + bytes / link.bandwidth.rate();
  return all_gather_time(link, gpus, bytes).count();  // an all-to-all and a reduce-scatter as well
}

// Gauss-Newton on the logarithms of both, from the extremes of the points; a step that does not help is halved.
std::optional<CollectiveLink> fit_collectives(std::span<const MeasuredPoint> points) {
  std::vector<Sample> samples;
  for (const MeasuredPoint& p : points)
    if (is_fitted_collective(p)) samples.push_back({bus_bytes(p), p.seconds});
  const auto by_bytes = [](const Sample& a, const Sample& b) { return a.bus_bytes < b.bus_bytes; };
  const auto [least, most] = std::minmax_element(samples.begin(), samples.end(), by_bytes);
  if (samples.empty() || least->bus_bytes == most->bus_bytes || least->seconds >= most->seconds) return std::nullopt;
  double latency = std::log(least->seconds), per_byte = std::log(most->seconds / most->bus_bytes);
  const auto error = [&samples](double a, double b) {
    double sum = 0;
    for (const Sample& s : samples) {
      const double e = std::log((std::exp(a) + std::exp(b) * s.bus_bytes) / s.seconds);
      sum += e * e;
    }
    return sum;
  };
  for (int step = 0; step < 100; ++step) {
    double aa = 0, ab = 0, bb = 0, ar = 0, br = 0;
    for (const Sample& s : samples) {
      const double at_once = std::exp(latency), moving = std::exp(per_byte) * s.bus_bytes, all = at_once + moving;
      const double da = at_once / all, db = moving / all, residual = std::log(all / s.seconds);
      aa += da * da;
      ab += da * db;
      bb += db * db;
      ar += da * residual;
      br += db * residual;
    }
    const double determinant = aa * bb - ab * ab;
    if (determinant <= 0) break;
    double to_a = (ab * br - bb * ar) / determinant, to_b = (ab * ar - aa * br) / determinant;
    const double before = error(latency, per_byte);
    int halved = 0;
    while (halved < 40 && !(error(latency + to_a, per_byte + to_b) < before)) {
      to_a /= 2;
      to_b /= 2;
      ++halved;
    }
    if (halved == 40) break;
    latency += to_a;
    per_byte += to_b;
  }
  return CollectiveLink{BytesPerSecond{std::exp(-per_byte)}, Seconds{std::exp(latency)}};
}

}  // namespace headroom
