// Random numbers: one independent stream per source, the same on every machine and compiler.
//
// xoshiro256** (Blackman and Vigna) seeded through splitmix64 from (seed, name of the source), so that adding a source
// leaves the draws of the others alone. Laws are drawn from uniform() by our own inversion, because those of the
// standard library differ between implementations; only gamma is drawn by rejection, as its inverse costs microseconds.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace headroom {

// Inverse of the standard normal distribution function, to about 1e-15 relative. Requires 0 < p < 1.
double normal_quantile(double p);

class Random {
 public:
  Random(std::uint64_t seed, std::string_view source);

  std::uint64_t bits() {
    const std::uint64_t result = rotated(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotated(state_[3], 45);
    return result;
  }
  // Inside (0, 1), both ends excluded.
  double uniform() { return inside_unit(bits()); }
  // The middle of one of 2^52 cells; with 2^53 cells the last middle would round to 1.
  static double inside_unit(std::uint64_t bits) { return (static_cast<double>(bits >> 12) + 0.5) * 0x1.0p-52; }
  // 0 .. n-1. Requires n > 0.
  std::uint64_t below(std::uint64_t n) { return static_cast<std::uint64_t>(uniform() * static_cast<double>(n)); }
  double exponential(double mean);
  double normal() { return normal_quantile(uniform()); }
  double lognormal(double mean, double cv);  // of the law's own mean and standard deviation / mean
  double gamma(double shape, double scale);  // takes a varying number of draws
  std::int64_t geometric(double mean);       // 1, 2, ...; mean >= 1

 private:
  static std::uint64_t rotated(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::array<std::uint64_t, 4> state_;
};

}  // namespace headroom
