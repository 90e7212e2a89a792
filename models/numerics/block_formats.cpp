#include "models/numerics/block_formats.h"

#include <algorithm>
#include <cmath>

#include "models/numerics/float_format.h"

namespace headroom {
namespace {

constexpr std::array<int, 8> kAwqOrder{0, 2, 4, 6, 1, 3, 5, 7};  // which of eight columns bits 4i hold

float largest_magnitude(std::span<const float> values) {
  float largest = 0;
  for (const float v : values) largest = std::max(largest, std::abs(v));
  return largest;
}

// E2M1 codes of values / scale, two a byte.
template <std::size_t N>
void encode_e2m1(std::span<const float> values, float scale, std::array<std::uint8_t, N>& codes) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t code = encode<kE2M1>(values[i] / scale);
    codes[i / 2] = static_cast<std::uint8_t>(codes[i / 2] | code << (4 * (i % 2)));
  }
}

std::size_t at(std::int64_t row, std::int64_t width, std::int64_t column) {
  return static_cast<std::size_t>(row * width + column);
}

}  // namespace

Int4Scale int4_scale(float least, float largest, Int4Layout layout) {
  least = std::min(least, 0.0f);
  largest = std::max(largest, 0.0f);
  const auto over = [&](float steps) {
    Int4Scale s;
    // A range below fp16's reach would leave no scale at all: the smallest fp16 number is the least scale.
    s.scale = round_to<kE5M10>((largest - least) / steps, Overflow::kSaturate);
    if (s.scale == 0) s.scale = largest == least ? 1 : kMinSubnormalOf<kE5M10>;
    s.zero = static_cast<std::int32_t>(std::clamp(std::nearbyint(-least / s.scale), 0.0f, 15.0f));
    return s;
  };
  Int4Scale s = over(15);
  if (layout == Int4Layout::kGptq && s.zero == 0) {
    s = over(14);
    s.zero = 1;
  }
  return s;
}

std::uint32_t encode_int4(float value, const Int4Scale& s) {
  const float code = std::nearbyint(value / s.scale) + static_cast<float>(s.zero);
  return static_cast<std::uint32_t>(std::clamp(code, 0.0f, 15.0f));
}

std::int64_t Int4Matrix::bytes() const {
  return static_cast<std::int64_t>(4 * (qweight.size() + qzeros.size() + g_idx.size()) + 2 * scales.size());
}

Int4Matrix pack_int4(std::span<const float> weights, std::int64_t n, std::int64_t k, std::int64_t group,
                     Int4Layout layout) {
  Int4Matrix m{layout, n, k, group, {}, {}, {}, {}};
  const bool awq = layout == Int4Layout::kAwq;
  m.qweight.resize(static_cast<std::size_t>(k * n / 8));
  m.qzeros.resize(static_cast<std::size_t>(k / group * (n / 8)));
  m.scales.resize(static_cast<std::size_t>(k / group * n));
  for (std::int64_t row = 0; row < n; ++row) {
    // Where this output stands in a word that holds eight.
    const auto bits =
        awq ? 4 * (std::find(kAwqOrder.begin(), kAwqOrder.end(), row % 8) - kAwqOrder.begin()) : 4 * (row % 8);
    for (std::int64_t g = 0; g < k / group; ++g) {
      const std::span<const float> values = weights.subspan(at(row, k, g * group), static_cast<std::size_t>(group));
      const auto [least, largest] = std::minmax_element(values.begin(), values.end());
      const Int4Scale s = int4_scale(*least, *largest, layout);
      m.scales[at(g, n, row)] = static_cast<std::uint16_t>(encode<kE5M10>(s.scale));
      const auto zero = static_cast<std::uint32_t>(awq ? s.zero : s.zero - 1);
      m.qzeros[at(g, n / 8, row / 8)] |= zero << bits;
      for (std::int64_t i = 0; i < group; ++i) {
        const std::int64_t input = g * group + i;
        const std::uint32_t code = encode_int4(values[static_cast<std::size_t>(i)], s);
        if (awq) {
          m.qweight[at(input, n / 8, row / 8)] |= code << bits;
        } else {
          m.qweight[at(input / 8, n, row)] |= code << (4 * (input % 8));
        }
      }
    }
  }
  if (!awq)
    for (std::int64_t i = 0; i < k; ++i) m.g_idx.push_back(static_cast<std::int32_t>(i / group));
  return m;
}

std::vector<float> unpack_int4(const Int4Matrix& m) {
  std::vector<float> weights(static_cast<std::size_t>(m.n * m.k));
  const bool awq = m.layout == Int4Layout::kAwq;
  for (std::int64_t row = 0; row < m.n; ++row) {
    const auto bits =
        awq ? 4 * (std::find(kAwqOrder.begin(), kAwqOrder.end(), row % 8) - kAwqOrder.begin()) : 4 * (row % 8);
    for (std::int64_t input = 0; input < m.k; ++input) {
      const std::int64_t g = input / m.group;
      const auto zero = static_cast<std::int32_t>(m.qzeros[at(g, m.n / 8, row / 8)] >> bits & 15u);
      const Int4Scale s{decode<kE5M10>(m.scales[at(g, m.n, row)]), awq ? zero : zero + 1};
      const std::uint32_t word = awq ? m.qweight[at(input, m.n / 8, row / 8)] >> bits
                                     : m.qweight[at(input / 8, m.n, row)] >> (4 * (input % 8));
      weights[at(row, m.k, input)] = decode_int4(word & 15u, s);
    }
  }
  return weights;
}

Mxfp4Block encode_mxfp4(std::span<const float> values) {
  Mxfp4Block block;
  const float largest = largest_magnitude(values);
  int exponent = 0;  // floor(log2(largest)); E2M1's own largest exponent is 2
  if (std::isfinite(largest) && largest > 0) exponent = std::ilogb(largest);
  block.scale = static_cast<std::uint8_t>(std::clamp(exponent - 2 + 127, 0, 254));
  if (!std::isfinite(largest)) block.scale = 255;
  encode_e2m1(values, decode_e8m0(block.scale), block.codes);
  return block;
}

std::array<float, Mxfp4Block::kSize> decode_mxfp4(const Mxfp4Block& block) {
  std::array<float, Mxfp4Block::kSize> values{};
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = decode<kE2M1>(block.codes[i / 2] >> (4 * (i % 2)) & 15u) * decode_e8m0(block.scale);
  return values;
}

float nvfp4_tensor_scale(float largest_magnitude) {
  const float scale = largest_magnitude / (kMaxOf<kE4M3> * kMaxOf<kE2M1>);
  return scale > 0 && std::isfinite(scale) ? scale : 1;
}

Nvfp4Block encode_nvfp4(std::span<const float> values, float tensor_scale) {
  Nvfp4Block block;
  const float wanted = largest_magnitude(values) / kMaxOf<kE2M1> / tensor_scale;
  block.scale = static_cast<std::uint8_t>(encode<kE4M3>(wanted, Overflow::kSaturate));
  const float scale = decode<kE4M3>(block.scale) * tensor_scale;
  if (scale > 0) encode_e2m1(values, scale, block.codes);
  return block;
}

std::array<float, Nvfp4Block::kSize> decode_nvfp4(const Nvfp4Block& block, float tensor_scale) {
  std::array<float, Nvfp4Block::kSize> values{};
  const float scale = decode<kE4M3>(block.scale) * tensor_scale;
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = decode<kE2M1>(block.codes[i / 2] >> (4 * (i % 2)) & 15u) * scale;
  return values;
}

}  // namespace headroom
