// Formats against published constants and tables, against the compiler's _Float16, and against the definition of
// rounding to nearest.
#include "models/numerics/float_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <string>

#include "tests/unit/numerics/number_lines.h"

namespace headroom::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// SEMANTICS 7.4 and the standards' own tables.
static_assert(kMaxOf<kE5M10> == 65504 && kMinNormalOf<kE5M10> == 0x1p-14f && kMinSubnormalOf<kE5M10> == 0x1p-24f);
static_assert(kMaxOf<kE4M3> == 448 && kMinNormalOf<kE4M3> == 0x1p-6f && kMinSubnormalOf<kE4M3> == 0x1p-9f);
static_assert(kMaxOf<kE5M2> == 57344 && kMinNormalOf<kE5M2> == 0x1p-14f && kMinSubnormalOf<kE5M2> == 0x1p-16f);
static_assert(kMaxOf<kE2M1> == 6 && kMinNormalOf<kE2M1> == 1 && kMinSubnormalOf<kE2M1> == 0.5f);
static_assert(kMaxOf<kE8M7> == 0x1.fep127f && kMinNormalOf<kE8M7> == 0x1p-126f && kMinSubnormalOf<kE8M7> == 0x1p-133f);
static_assert(kMaxOf<kE8M23> == std::numeric_limits<float>::max());

TEST(FloatFormat, FromFloat32ToFloat16) {
  const auto half = [](float v) { return round_to<kE5M10>(v); };
  EXPECT_EQ(half(65519.996f), 65504);
  EXPECT_EQ(half(65520), kInfinity);
  EXPECT_EQ(half(-65520), -kInfinity);
  EXPECT_EQ(half(0x1p-25f), 0);  // a tie, to the even zero
  EXPECT_EQ(half(std::nextafter(0x1p-25f, 1.0f)), 0x1p-24f);
  EXPECT_TRUE(std::signbit(half(-0x1p-26f)));
  EXPECT_EQ(half(0x1.8p-24f), 0x1p-23f);  // a tie between subnormals
  EXPECT_TRUE(std::isnan(half(kNan)));
  EXPECT_EQ(round_to<kE5M10>(1e30f, Overflow::kSaturate), 65504);
  EXPECT_EQ(round_to<kE5M10>(-kInfinity, Overflow::kSaturate), -65504);
}

TEST(FloatFormat, OverflowIsWhatEachStandardSays) {
  EXPECT_EQ(round_to<kE4M3>(464), 448);  // the middle, to the even code
  EXPECT_TRUE(std::isnan(round_to<kE4M3>(465)));
  EXPECT_EQ(encode<kE4M3>(465), 0x7fu);
  EXPECT_EQ(encode<kE4M3>(465, Overflow::kSaturate), 0x7eu);
  EXPECT_EQ(encode<kE5M2>(61440), 0x7cu);  // the middle: infinity counts as the next, even number
  EXPECT_EQ(encode<kE5M2>(61439), 0x7bu);
  EXPECT_EQ(encode<kE2M1>(-1e9f), 0xfu);
  EXPECT_EQ(round_to<kE2M1>(kNan), 6);
  EXPECT_EQ(encode<kE8M7>(0x1.ffp127f), 0x7f80u);
}

template <FloatFormat F>
void every_code_comes_back() {
  for (std::uint32_t code = 0; code < 2 * F.sign_bit(); ++code) {
    const float value = decode<F>(code);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(decode<F>(encode<F>(value)))) << code;
    } else {
      ASSERT_EQ(encode<F>(value), code) << value;
      ASSERT_EQ(std::signbit(value), (code & F.sign_bit()) != 0);
    }
  }
}

TEST(FloatFormat, EveryCodeComesBack) {
  every_code_comes_back<kE5M10>();
  every_code_comes_back<kE8M7>();
  every_code_comes_back<kE8M10>();
  every_code_comes_back<kE4M3>();
  every_code_comes_back<kE5M2>();
  every_code_comes_back<kE2M1>();
}

// By the definition: the nearer neighbour, in double; of two as near, the one with the even code.
template <FloatFormat F>
double nearest(float value) {
  const double magnitude = std::abs(static_cast<double>(value));
  std::uint32_t low = 0, high = F.max_code();
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    (static_cast<double>(decode<F>(middle)) <= magnitude ? low : high) = middle;
  }
  const double below = static_cast<double>(decode<F>(low)), above = static_cast<double>(decode<F>(high));
  const double down = magnitude - below, up = above - magnitude;
  return std::copysign(down < up || (down == up && low % 2 == 0) ? below : above, static_cast<double>(value));
}

template <FloatFormat F>
void rounds_to_nearest() {
  std::int64_t wrong = 0;
  const auto check = [&](float value) {
    const double expected = nearest<F>(value);
    const auto got = static_cast<double>(round_to<F>(value, Overflow::kSaturate));
    if (got != expected || std::signbit(got) != std::signbit(value)) {
      if (++wrong <= 3) ADD_FAILURE() << F.exponent_bits << "," << F.mantissa_bits << ": " << value << " -> " << got;
    }
  };
  for_each_edge<F>(check);
  for_each_4099th_float(check);
  EXPECT_EQ(wrong, 0);
}

TEST(FloatFormat, RoundsToNearestEven) {
  rounds_to_nearest<kE5M10>();
  rounds_to_nearest<kE8M7>();
  rounds_to_nearest<kE8M10>();
  rounds_to_nearest<kE4M3>();
  rounds_to_nearest<kE5M2>();
  rounds_to_nearest<kE2M1>();
}

TEST(FloatFormat, CodesAndValuesOfMlDtypes) {
  std::ifstream in(HEADROOM_SOURCE_DIR "/tests/unit/numerics/ml_dtypes.csv");
  std::string line;
  std::getline(in, line);
  std::map<std::string, float (*)(std::uint32_t)> formats{
      {"fp8_e4m3", decode<kE4M3>}, {"fp8_e5m2", decode<kE5M2>}, {"fp4_e2m1", decode<kE2M1>}, {"e8m0", decode_e8m0}};
  int rows = 0;
  while (std::getline(in, line)) {
    const auto first = line.find(','), second = line.find(',', first + 1);
    const float expected = std::strtof(line.c_str() + second + 1, nullptr);
    const float value =
        formats.at(line.substr(0, first))(static_cast<std::uint32_t>(std::stoul(line.substr(first + 1))));
    ++rows;
    EXPECT_TRUE(value == expected || (std::isnan(value) && std::isnan(expected))) << line;
    EXPECT_EQ(std::isnan(value) || std::signbit(value) == std::signbit(expected), true) << line;
  }
  EXPECT_EQ(rows, 256 + 256 + 16 + 256);
}

#if defined(__FLT16_MANT_DIG__) && !defined(__clang__)  // clang 14 has no _Float16 on plain x86-64
__extension__ using Half = _Float16;

void same_as_float16(float value) {
  const auto expected = static_cast<Half>(value);
  std::uint16_t code;
  std::memcpy(&code, &expected, sizeof code);
  ASSERT_EQ(encode<kE5M10>(value), code) << value;
}

TEST(FloatFormat, Float16AsTheCompilerHasIt) {
  for_each_edge<kE5M10>(same_as_float16);
  for_each_4099th_float(same_as_float16);
  for (std::uint32_t code = 0; code < 1u << 16; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    Half half;
    std::memcpy(&half, &bits, sizeof half);
    const auto expected = static_cast<float>(half);
    const float value = decode<kE5M10>(code);
    ASSERT_TRUE(value == expected || (std::isnan(value) && std::isnan(expected))) << code;
  }
}
#endif

}  // namespace
}  // namespace headroom::testing
