// Reproducible weights: element `index` of a tensor is a hash of (seed, index), so the host can compute what the device
// was filled with.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define HEADROOM_BOTH_SIDES __host__ __device__
#else
#define HEADROOM_BOTH_SIDES
#endif

namespace headroom {

// Uniform in [-scale, scale), on a grid of 2^-23 of it: exact in fp32 before it is rounded to the tensor's type.
HEADROOM_BOTH_SIDES inline float random_value(std::uint64_t seed, std::uint64_t index, float scale) {
  std::uint64_t x = index + seed * 0x9E3779B97F4A7C15ull + 0x632BE59BD9B4E019ull;  // splitmix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  x ^= x >> 31;
  const auto bits = static_cast<std::int32_t>(x >> 40) - (1 << 23);
  return scale * (static_cast<float>(bits) / static_cast<float>(1 << 23));
}

}  // namespace headroom
