#include "models/expert_load.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace headroom {
namespace {

// Expected largest of n binomials of `trials` with probability p: the sum over j of P(largest >= j).
double largest_binomial(double n, std::int64_t trials, double p) {
  if (p >= 1) return static_cast<double>(trials);
  double mass = std::pow(1 - p, static_cast<double>(trials)), below = 0, largest = 0;
  for (std::int64_t j = 1; j <= trials; ++j) {
    below += mass;  // P(one < j)
    largest += 1 - std::pow(std::min(below, 1.0), n);
    mass *= static_cast<double>(trials - j + 1) / static_cast<double>(j) * p / (1 - p);
  }
  return largest;
}

// Expected largest of n standard normals: the integral of 1 - F^n - (1 - F)^n over the positive half.
double largest_normal(double n) {
  constexpr double kStep = 0.01;
  double sum = 0;
  for (int i = 0; i < 800; ++i) {
    const double x = (i + 0.5) * kStep;
    const double upper = std::erfc(x / std::numbers::sqrt2) / 2;
    sum += (1 - std::pow(1 - upper, n) - std::pow(upper, n)) * kStep;
  }
  return sum;
}

}  // namespace

ExpertLoad busiest_rank(const ExpertSharing& s, double tokens) {
  const auto experts = static_cast<double>(s.num_experts), used = static_cast<double>(s.experts_per_token);
  const auto ranks = static_cast<double>(s.ranks);
  const double touched = 1 - std::pow(1 - used / experts, tokens);
  if (s.ranks == 1) return {experts * touched, tokens * used};
  const std::int64_t own = s.num_experts / s.ranks;
  const double mean = tokens * used / ranks;
  const double variance = tokens * used * (1 / ranks) * (1 - 1 / ranks) * (experts - used) / (experts - 1);
  const double most = tokens * std::min(used, static_cast<double>(own));
  const double busy = std::max(1.0, largest_binomial(ranks, own, touched));
  return {busy, std::max(busy, std::min(most, mean + largest_normal(ranks) * std::sqrt(variance)))};
}

}  // namespace headroom
