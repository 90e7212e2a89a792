// Shared scales: worked cases by hand, and packed layouts as their libraries lay them out.
#include "models/numerics/block_formats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "models/numerics/float_format.h"
#include "models/numerics/number_format.h"

namespace headroom {
namespace {

std::vector<float> normal_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(random() % 20'001) / 10'000.0f - 1;
  return values;
}

TEST(Int8, TiesToEvenAndSaturates) {
  EXPECT_EQ(encode_int8(2.5f, 1), 2);
  EXPECT_EQ(encode_int8(3.5f, 1), 4);
  EXPECT_EQ(encode_int8(-2.5f, 1), -2);
  EXPECT_EQ(encode_int8(127.5f, 1), 127);
  EXPECT_EQ(encode_int8(-1e9f, 1), -127);
  EXPECT_EQ(encode_int8(std::numeric_limits<float>::quiet_NaN(), 1), 0);
  EXPECT_EQ(decode_int8(encode_int8(0.3f, 0.1f), 0.1f), 3 * 0.1f);
}

TEST(Int4, ScaleAndZeroOfAGroup) {
  const Int4Scale s = int4_scale(-0.5f, 1.0f, Int4Layout::kAwq);
  EXPECT_EQ(s.scale, round_to<kE5M10>(0.1f));
  EXPECT_EQ(s.zero, 5);
  EXPECT_EQ(encode_int4(-0.5f, s), 0u);
  EXPECT_EQ(encode_int4(1.0f, s), 15u);
  EXPECT_EQ(encode_int4(0, s), 5u);
  EXPECT_EQ(decode_int4(5, s), 0);
  // A positive group: AWQ's zero is 0; GPTQ's cannot be, it has 14 steps then.
  EXPECT_EQ(int4_scale(0.5f, 1.5f, Int4Layout::kAwq).zero, 0);
  const Int4Scale gptq = int4_scale(0.5f, 1.4f, Int4Layout::kGptq);
  EXPECT_EQ(gptq.zero, 1);
  EXPECT_EQ(decode_int4(encode_int4(1.4f, gptq), gptq), 14 * round_to<kE5M10>(0.1f));
  EXPECT_EQ(int4_scale(0, 0, Int4Layout::kAwq).scale, 1);
  EXPECT_GT(int4_scale(-1e-30f, 1e-30f, Int4Layout::kAwq).scale, 0);
}

TEST(Int4, PackedWordsAreInEachLibrarysOrder) {
  // Outputs 0 to 7 hold their own number in input 0; the scale of every group is 1 and its zero 0 (AWQ) or 1 (GPTQ).
  std::vector<float> weights(8 * 8, 0.0f);
  for (std::size_t row = 0; row < 8; ++row) {
    weights[row * 8] = static_cast<float>(row);
    weights[row * 8 + 7] = 15;
  }
  const Int4Matrix awq = pack_int4(weights, 8, 8, 8, Int4Layout::kAwq);
  EXPECT_EQ(awq.qweight.at(0), 0x75316420u);  // bits 4i hold output 0 2 4 6 1 3 5 7
  EXPECT_EQ(awq.qweight.at(7), 0xffffffffu);
  EXPECT_EQ(awq.qzeros.at(0), 0u);
  EXPECT_EQ(awq.scales, std::vector<std::uint16_t>(8, 0x3c00));
  for (std::size_t row = 0; row < 8; ++row) weights[row * 8 + 7] = 14;
  const Int4Matrix gptq = pack_int4(weights, 8, 8, 8, Int4Layout::kGptq);
  for (std::uint32_t row = 0; row < 8; ++row)
    EXPECT_EQ(gptq.qweight.at(row), 0xf1111110u | (row + 1)) << row;  // eight inputs of one output, lowest bits first
  EXPECT_EQ(gptq.qzeros.at(0), 0u);                                   // one, stored less one
  EXPECT_EQ(gptq.g_idx, std::vector<std::int32_t>(8, 0));
}

TEST(Int4, UnpackingGivesWhatConversionSays) {
  const std::int64_t n = 24, k = 256, group = 64;
  const std::vector<float> weights = normal_values(static_cast<std::size_t>(n * k), 1);
  for (const Int4Layout layout : {Int4Layout::kAwq, Int4Layout::kGptq}) {
    const NumberFormat format = layout == Int4Layout::kAwq ? NumberFormat::kAwq : NumberFormat::kGptq;
    const Int4Matrix m = pack_int4(weights, n, k, group, layout);
    std::vector<float> converted(weights.size());
    convert(format, weights, converted, {0, 0, group});
    EXPECT_EQ(unpack_int4(m), converted);
    EXPECT_EQ(m.bytes(), storage_bytes(format, n, k, group).count());
    for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_LE(std::abs(weights[i] - converted[i]), 2.0f / 15);
  }
}

TEST(Mxfp4, ByHand) {
  // Largest 5: floor(log2 5) - 2 = 0, so the scale is 1 and E2M1's grid 0 .5 1 1.5 2 3 4 6 is the block's.
  const std::vector<float> values{5, -0.25f, 0.75f, 2.5f, 1.26f, -3};
  const auto out = decode_mxfp4(encode_mxfp4(values));
  EXPECT_EQ(encode_mxfp4(values).scale, 127);
  EXPECT_EQ(out[0], 4);  // between 4 and 6: the even code
  EXPECT_EQ(out[1], 0);  // between 0 and 0.5
  EXPECT_TRUE(std::signbit(out[1]));
  EXPECT_EQ(out[2], 1);
  EXPECT_EQ(out[3], 2);
  EXPECT_EQ(out[4], 1.5f);
  EXPECT_EQ(out[5], -3);
  EXPECT_EQ(out[6], 0);
  // Above 6 times the scale numbers saturate: that is the MX rule for 7.
  EXPECT_EQ(decode_mxfp4(encode_mxfp4(std::vector<float>{7}))[0], 6);
  EXPECT_EQ(encode_mxfp4(std::vector<float>{8}).scale, 128);
  EXPECT_EQ(decode_mxfp4(encode_mxfp4(std::vector<float>(32, 0.0f)))[31], 0);
}

TEST(Nvfp4, ByHand) {
  // A tensor whose largest is 448 * 6: its scale is 1; a block with largest 12 has the E4M3 scale 2.
  EXPECT_EQ(nvfp4_tensor_scale(2688), 1);
  const std::vector<float> values{12, 1, -5, 2.9f};
  const Nvfp4Block block = encode_nvfp4(values, 1);
  EXPECT_EQ(decode<kE4M3>(block.scale), 2);
  const auto out = decode_nvfp4(block, 1);
  EXPECT_EQ(out[0], 12);
  EXPECT_EQ(out[1], 1);
  EXPECT_EQ(out[2], -4);  // -2.5 on the grid of 2: the even one of -2 and -3
  EXPECT_EQ(out[3], 3);
  EXPECT_EQ(nvfp4_tensor_scale(0), 1);
  EXPECT_EQ(decode_nvfp4(encode_nvfp4(std::vector<float>(16, 0.0f), 1), 1)[5], 0);
}

TEST(NumberFormat, BytesOfAMatrix) {
  // Rows of SEMANTICS 7.1 for [4096, 4096].
  const double weights = 4096.0 * 4096.0;
  const auto each = [&](NumberFormat f) {
    return static_cast<double>(storage_bytes(f, 4096, 4096, 128).count()) / weights;
  };
  EXPECT_EQ(each(NumberFormat::kFloat32), 4);
  EXPECT_EQ(each(NumberFormat::kTf32), 4);
  EXPECT_EQ(each(NumberFormat::kBfloat16), 2);
  EXPECT_EQ(each(NumberFormat::kFp8E4m3), 1);
  EXPECT_EQ(each(NumberFormat::kInt8), 1 + 4 / 4096.0);
  EXPECT_EQ(each(NumberFormat::kAwq), 0.5 + 2.5 / 128);
  EXPECT_EQ(each(NumberFormat::kGptq), 0.5 + 2.5 / 128 + 4 / 4096.0);
  EXPECT_EQ(each(NumberFormat::kMxfp4), 0.5 + 1 / 32.0);
  EXPECT_NEAR(each(NumberFormat::kNvfp4), 0.5 + 1 / 16.0, 1e-6);
  EXPECT_EQ(storage_bytes(NumberFormat::kMxfp4, 1, 33).count(), 17 + 2);
  EXPECT_EQ(storage_bytes(NumberFormat::kAwq, 1, 128).count(), 4 * 128 + 4 + 2);
}

TEST(NumberFormat, NamesAreKnownBothWays) {
  for (const NumberFormatEntry& entry : number_formats()) {
    EXPECT_EQ(number_format_named(entry.name), entry.format);
    EXPECT_EQ(&entry_of(entry.format), &entry);
  }
  EXPECT_FALSE(number_format_named("float15"));
}

TEST(NumberFormat, EveryFormatKeepsZerosAndSigns) {
  const std::vector<float> in{0, -1, 1, 0.5f, -0.5f, 0, 1, -1};
  for (const NumberFormatEntry& entry : number_formats()) {
    std::vector<float> out(in.size());
    convert(entry.format, in, out, {1, 1, 8});
    for (std::size_t i = 0; i < in.size(); ++i) EXPECT_NEAR(out[i], in[i], 0.08f) << entry.name;
    EXPECT_EQ(out[0], 0) << entry.name;
  }
}

}  // namespace
}  // namespace headroom
