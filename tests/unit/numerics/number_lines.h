// Floats at which a rounding to a format can go wrong: every number of the format, the middle between each two
// neighbours, and the floats next to both; what lies beyond the largest; and every 4,099th float.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "models/numerics/float_format.h"

namespace headroom::testing {

template <class Check>
void around(float value, const Check& check) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float v : {value, std::nextafter(value, infinity), std::nextafter(value, -infinity)}) {
    check(v);
    check(-v);
  }
}

template <FloatFormat F, class Check>
void for_each_edge(const Check& check) {
  for (std::uint32_t code = 0; code <= F.max_code(); ++code) {
    const float here = decode<F>(code);
    around(here, check);
    // Beyond the largest number the next one would be as far again as the last was.
    const float next = code < F.max_code() ? decode<F>(code + 1) : here + (here - decode<F>(code - 1));
    if (std::isfinite(next)) around(here + (next - here) / 2, check);
  }
  around(std::numeric_limits<float>::infinity(), check);
  around(std::numeric_limits<float>::max(), check);
}

template <class Check>
void for_each_4099th_float(const Check& check) {
  for (std::uint64_t bits = 0; bits < 1ull << 32; bits += 4099) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(value)) check(value);
  }
}

}  // namespace headroom::testing
