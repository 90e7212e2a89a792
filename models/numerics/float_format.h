// Floating-point formats of at most 32 bits: rounding, encoding and decoding, bit for bit.
//
// A value is rounded to nearest, ties to even, onto the grid of the format while it is still a float (round_to), then
// the bits of the grid point are written down (encode). Rounding has no branch on the value, so compilers turn a loop
// of it into vector code. What happens beyond the largest finite value is the standard's word, or saturation on
// request.
//
// Sources:
//   fp16 (binary16)   IEEE 754-2019; Python's and NumPy's float16
//   bf16              Intel, "BFLOAT16 - Hardware Numerics Definition", 2018; overflow as in IEEE 754
//   tf32              NVIDIA A100 whitepaper: 8 exponent and 10 mantissa bits in a 32-bit word. Rounded to nearest even
//                     here; cvt.rna.tf32.f32 rounds ties away from zero
//   fp8 E4M3, E5M2    OCP 8-bit Floating Point Specification (OFP8) 1.0, 2023: E4M3 has no infinity and one NaN per
//                     sign; without saturation its overflow is NaN, that of E5M2 infinity
//   fp4 E2M1          OCP Microscaling Formats (MX) 1.0, 2023: no infinity, no NaN; overflow saturates
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace headroom {

// What the codes of the largest exponent mean.
enum class Specials {
  kIeee,     // infinity and NaNs
  kNanOnly,  // numbers, but for the last one, which is NaN
  kNone,     // numbers
};

enum class Overflow {
  kStandard,  // infinity where the format has one, else NaN, else the largest value
  kSaturate,  // the largest finite value, also for infinities: what CUDA calls satfinite
};

struct FloatFormat {
  int exponent_bits = 8;
  int mantissa_bits = 23;  // stored ones
  Specials specials = Specials::kIeee;

  constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  constexpr int bits() const { return 1 + exponent_bits + mantissa_bits; }
  // Of the smallest normal number, 2^x.
  constexpr int min_exponent() const { return 1 - bias(); }
  constexpr std::uint32_t exponent_mask() const { return (1u << exponent_bits) - 1; }
  constexpr std::uint32_t mantissa_mask() const { return (1u << mantissa_bits) - 1; }
  constexpr std::uint32_t sign_bit() const { return 1u << (exponent_bits + mantissa_bits); }
  // Codes of positive specials and of the largest finite number.
  constexpr std::uint32_t infinity_code() const { return exponent_mask() << mantissa_bits; }
  constexpr std::uint32_t nan_code() const {
    return specials == Specials::kIeee ? infinity_code() | (1u << (mantissa_bits - 1))
                                       : (exponent_mask() << mantissa_bits) | mantissa_mask();
  }
  constexpr std::uint32_t max_code() const {
    const std::uint32_t last = (exponent_mask() << mantissa_bits) | mantissa_mask();
    return specials == Specials::kIeee ? infinity_code() - 1 : specials == Specials::kNanOnly ? last - 1 : last;
  }

  friend constexpr bool operator==(const FloatFormat&, const FloatFormat&) = default;
};

inline constexpr FloatFormat kE8M23{8, 23, Specials::kIeee};
inline constexpr FloatFormat kE8M10{8, 10, Specials::kIeee};
inline constexpr FloatFormat kE5M10{5, 10, Specials::kIeee};
inline constexpr FloatFormat kE8M7{8, 7, Specials::kIeee};
inline constexpr FloatFormat kE4M3{4, 3, Specials::kNanOnly};
inline constexpr FloatFormat kE5M2{5, 2, Specials::kIeee};
inline constexpr FloatFormat kE2M1{2, 1, Specials::kNone};

// 2^exponent, subnormal floats included. Requires -149 <= exponent <= 127.
constexpr float power_of_two(int exponent) {
  return exponent >= -126 ? std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 127) << 23)
                          : std::bit_cast<float>(1u << (exponent + 149));
}

// Exact: every number of these formats is a float.
template <FloatFormat F>
constexpr float decode(std::uint32_t code) {
  const std::uint32_t sign = (code & F.sign_bit()) != 0 ? 0x80000000u : 0;
  const std::uint32_t magnitude = code & (F.sign_bit() - 1);
  if (magnitude > F.max_code()) {
    const bool infinite = F.specials == Specials::kIeee && magnitude == F.infinity_code();
    return std::bit_cast<float>(sign | (infinite ? 0x7f800000u : 0x7fc00000u));
  }
  const std::uint32_t exponent = magnitude >> F.mantissa_bits, mantissa = magnitude & F.mantissa_mask();
  if (exponent == 0) {
    const float value = static_cast<float>(mantissa) * power_of_two(F.min_exponent() - F.mantissa_bits);
    return sign != 0 ? -value : value;
  }
  const auto rebiased = static_cast<std::uint32_t>(static_cast<int>(exponent) - F.bias() + 127);
  return std::bit_cast<float>(sign | rebiased << 23 | mantissa << (23 - F.mantissa_bits));
}

template <FloatFormat F>
inline constexpr float kMaxOf = decode<F>(F.max_code());
template <FloatFormat F>
inline constexpr float kMinNormalOf = power_of_two(F.min_exponent());
template <FloatFormat F>
inline constexpr float kMinSubnormalOf = power_of_two(F.min_exponent() - F.mantissa_bits);

// The number of F nearest to `value`, ties to the even code; sign of zero kept. NaN stays NaN; in a format without NaN
// it becomes the largest value, as in CUDA's headers.
template <FloatFormat F>
constexpr float round_to(float value, Overflow overflow = Overflow::kStandard) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits & 0x80000000u, magnitude = bits & 0x7fffffffu;
  std::uint32_t rounded = magnitude;
  if constexpr (F.mantissa_bits < 23) {
    // Normal: half of the dropped part, and one more if the kept part is odd; a carry moves on to the next power of
    // two.
    constexpr int drop = 23 - F.mantissa_bits;
    const std::uint32_t normal =
        (magnitude + ((1u << (drop - 1)) - 1) + ((magnitude >> drop) & 1u)) & ~((1u << drop) - 1);
    // Subnormal: adding a number whose last place is the format's spacing makes the adder do the rounding.
    constexpr float shift = power_of_two(F.min_exponent() - F.mantissa_bits + 23);
    const float small = std::bit_cast<float>(magnitude);
    const auto subnormal = std::bit_cast<std::uint32_t>((small + shift) - shift);
    rounded = magnitude < std::bit_cast<std::uint32_t>(kMinNormalOf<F>) ? subnormal : normal;
  }
  constexpr auto largest = std::bit_cast<std::uint32_t>(kMaxOf<F>);
  constexpr std::uint32_t infinity = 0x7f800000u, nan = 0x7fc00000u;
  const std::uint32_t beyond = overflow == Overflow::kSaturate || F.specials == Specials::kNone ? largest
                               : F.specials == Specials::kIeee                                  ? infinity
                                                                                                : nan;
  rounded = rounded > largest ? beyond : rounded;
  if constexpr (F.specials == Specials::kNone)
    return std::bit_cast<float>(magnitude > infinity ? largest : sign | rounded);
  return std::bit_cast<float>(sign | (magnitude > infinity ? nan : rounded));
}

// The code of round_to(value).
template <FloatFormat F>
constexpr std::uint32_t encode(float value, Overflow overflow = Overflow::kStandard) {
  const auto bits = std::bit_cast<std::uint32_t>(round_to<F>(value, overflow));
  const std::uint32_t sign = (bits & 0x80000000u) != 0 ? F.sign_bit() : 0;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | F.nan_code();
  if (magnitude == 0x7f800000u) return sign | F.infinity_code();
  if constexpr (F == kE8M23) {
    return bits;
  } else {
    const float value_on_grid = std::bit_cast<float>(magnitude);
    if (value_on_grid < kMinNormalOf<F>) {
      // A whole number of spacings; two steps, since 1 / spacing is no float in formats with fp32's exponents.
      constexpr int spacing = F.min_exponent() - F.mantissa_bits;
      constexpr int half = spacing / 2;
      return sign | static_cast<std::uint32_t>(value_on_grid * power_of_two(-half) * power_of_two(half - spacing));
    }
    const std::uint32_t exponent = (magnitude >> 23) - 127u + static_cast<std::uint32_t>(F.bias());
    return sign | exponent << F.mantissa_bits | (magnitude >> (23 - F.mantissa_bits) & F.mantissa_mask());
  }
}

// E8M0 of the MX formats: a power of two without sign, 2^(code - 127); 255 is NaN.
constexpr float decode_e8m0(std::uint32_t code) {
  return code == 255 ? std::numeric_limits<float>::quiet_NaN() : power_of_two(static_cast<int>(code) - 127);
}

}  // namespace headroom
