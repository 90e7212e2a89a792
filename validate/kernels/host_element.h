// fp16 and bf16 on the host: bits to numbers and back, rounded to the nearest even as the device does.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "validate/kernels/element.h"

namespace headroom {

inline float number_of(Element element, std::uint16_t bits) {
  if (element == Element::kBfloat16) return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u, fraction = bits & 1023u;
  if (exponent == 0) {  // subnormal: fraction * 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t as_float = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | as_float << 23 | fraction << 13);
}

inline std::uint16_t bits_of(Element element, float number) {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  if (element == Element::kBfloat16) return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const float magnitude = std::fabs(number);
  if (magnitude >= 65520.0f) return static_cast<std::uint16_t>(sign | 0x7C00u);
  // The spacing of halves around the number: 2^(e - 10), at least 2^-24.
  const int exponent = magnitude < std::ldexp(1.0f, -14) ? -14 : std::ilogb(magnitude);
  const auto steps = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // 1024 steps are the next exponent's first number: the sum carries over.
  const std::uint32_t base = exponent == -14 && steps < 1024u ? 0u : static_cast<std::uint32_t>(exponent + 15) << 10;
  return static_cast<std::uint16_t>(sign | (base == 0u ? steps : base + steps - 1024u));
}

}  // namespace headroom
