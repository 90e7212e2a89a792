#include "sim/workload/random.h"

#include <boost/math/distributions/gamma.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>

namespace headroom {

Random::Random(std::uint64_t seed, std::string_view source) {
  std::uint64_t x = seed + 0x9e3779b97f4a7c15ULL;
  for (const char c : source) x = (x ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  for (std::uint64_t& word : state_) {         // splitmix64
    x += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    word = z ^ (z >> 31);
  }
}

double Random::exponential(double mean) { return -mean * std::log(uniform()); }

double Random::normal() {
  static const boost::math::normal law;
  return boost::math::quantile(law, uniform());
}

double Random::lognormal(double mean, double cv) {
  const double variance = std::log1p(cv * cv);
  return std::exp(std::log(mean) - variance / 2 + std::sqrt(variance) * normal());
}

double Random::gamma(double shape, double scale) {
  if (shape == 1) return exponential(scale);
  return scale * boost::math::quantile(boost::math::gamma_distribution<>(shape), uniform());
}

std::int64_t Random::geometric(double mean) {
  if (mean <= 1) return 1;
  return 1 + static_cast<std::int64_t>(std::log(uniform()) / std::log1p(-1 / mean));
}

}  // namespace headroom
