#include "models/numerics/number_format.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "models/numerics/block_formats.h"

namespace headroom {
namespace {

constexpr std::array kFormats{
    NumberFormatEntry{NumberFormat::kFloat32, "float32", "IEEE binary32", 1},
    NumberFormatEntry{NumberFormat::kTf32, "tf32", "8 exponent and 10 mantissa bits in 32", 1},
    NumberFormatEntry{NumberFormat::kFloat16, "float16", "IEEE binary16: largest 65504", 1},
    NumberFormatEntry{NumberFormat::kBfloat16, "bfloat16", "the upper half of float32", 1},
    NumberFormatEntry{NumberFormat::kFp8E4m3, "fp8_e4m3", "largest 448, no infinity", 1},
    NumberFormatEntry{NumberFormat::kFp8E5m2, "fp8_e5m2", "largest 57344, with infinity", 1},
    NumberFormatEntry{NumberFormat::kInt8, "int8", "-127 to 127, a scale for each row", -1},
    NumberFormatEntry{NumberFormat::kAwq, "awq", "int4, an fp16 scale and a zero for each group, AWQ's layout", 0},
    NumberFormatEntry{NumberFormat::kGptq, "gptq", "int4, an fp16 scale and a zero for each group, GPTQ's layout", 0},
    NumberFormatEntry{NumberFormat::kMxfp4, "mxfp4", "E2M1, a power of two for each 32", 32},
    NumberFormatEntry{NumberFormat::kNvfp4, "nvfp4", "E2M1, an E4M3 scale for each 16, an fp32 one for the tensor", 16},
};

std::int64_t ceil_of(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

template <FloatFormat F>
NumberLimits limits() {
  return {kMaxOf<F>, kMinNormalOf<F>, kMinSubnormalOf<F>};
}

template <FloatFormat F>
void convert_plain(std::span<const float> in, std::span<float> out, Overflow overflow) {
  for (std::size_t i = 0; i < in.size(); ++i) out[i] = round_to<F>(in[i], overflow);
}

void convert_int4(std::span<const float> in, std::span<float> out, std::int64_t group, Int4Layout layout) {
  for (std::size_t from = 0; from < in.size(); from += static_cast<std::size_t>(group)) {
    const std::size_t count = std::min(in.size() - from, static_cast<std::size_t>(group));
    const std::span<const float> values = in.subspan(from, count);
    const auto [least, largest] = std::minmax_element(values.begin(), values.end());
    const Int4Scale s = int4_scale(*least, *largest, layout);
    for (std::size_t i = 0; i < count; ++i) out[from + i] = decode_int4(encode_int4(values[i], s), s);
  }
}

// In blocks of Block::kSize, the last one perhaps shorter.
template <class Block, class Encode, class Decode>
void convert_blocks(std::span<const float> in, std::span<float> out, Encode encode, Decode decode) {
  for (std::size_t from = 0; from < in.size(); from += Block::kSize) {
    const std::size_t count = std::min(in.size() - from, Block::kSize);
    const auto values = decode(encode(in.subspan(from, count)));
    std::copy_n(values.begin(), count, out.begin() + static_cast<std::ptrdiff_t>(from));
  }
}

}  // namespace

std::span<const NumberFormatEntry> number_formats() {
  return kFormats;
}

const NumberFormatEntry& entry_of(NumberFormat format) {
  return kFormats[static_cast<std::size_t>(format)];
}

std::optional<NumberFormat> number_format_named(std::string_view name) {
  for (const NumberFormatEntry& entry : kFormats)
    if (entry.name == name) return entry.format;
  return std::nullopt;
}

NumberLimits limits_of(NumberFormat format) {
  switch (format) {
    case NumberFormat::kFloat32:
      return limits<kE8M23>();
    case NumberFormat::kTf32:
      return limits<kE8M10>();
    case NumberFormat::kFloat16:
      return limits<kE5M10>();
    case NumberFormat::kBfloat16:
      return limits<kE8M7>();
    case NumberFormat::kFp8E4m3:
      return limits<kE4M3>();
    case NumberFormat::kFp8E5m2:
      return limits<kE5M2>();
    case NumberFormat::kInt8:
      return {127, 1, 1};
    case NumberFormat::kAwq:
    case NumberFormat::kGptq:
      return {15, 1, 1};
    case NumberFormat::kMxfp4:
    case NumberFormat::kNvfp4:
      return limits<kE2M1>();
  }
  return {};
}

Bytes storage_bytes(NumberFormat format, std::int64_t rows, std::int64_t columns, std::int64_t group) {
  const std::int64_t numbers = rows * columns;
  switch (format) {
    case NumberFormat::kFloat32:
    case NumberFormat::kTf32:
      return Bytes{4 * numbers};
    case NumberFormat::kFloat16:
    case NumberFormat::kBfloat16:
      return Bytes{2 * numbers};
    case NumberFormat::kFp8E4m3:
    case NumberFormat::kFp8E5m2:
      return Bytes{numbers};
    case NumberFormat::kInt8:
      return Bytes{numbers + 4 * rows};
    case NumberFormat::kAwq:
    case NumberFormat::kGptq: {
      // [k, n]: int32 words along n (AWQ) or k (GPTQ), zeros along n, fp16 scales; GPTQ also an int32 for each input.
      const std::int64_t groups = ceil_of(columns, group);
      const bool awq = format == NumberFormat::kAwq;
      const std::int64_t words = awq ? columns * ceil_of(rows, 8) : ceil_of(columns, 8) * rows;
      return Bytes{4 * words + 4 * groups * ceil_of(rows, 8) + 2 * groups * rows + (awq ? 0 : 4 * columns)};
    }
    case NumberFormat::kMxfp4:
      return Bytes{rows * (ceil_of(columns, 2) + ceil_of(columns, 32))};
    case NumberFormat::kNvfp4:
      return Bytes{rows * (ceil_of(columns, 2) + ceil_of(columns, 16)) + 4};
  }
  return Bytes{};
}

void convert(NumberFormat format, std::span<const float> in, std::span<float> out, const RowScale& row,
             Overflow overflow) {
  switch (format) {
    case NumberFormat::kFloat32:
      std::copy(in.begin(), in.end(), out.begin());
      return;
    case NumberFormat::kTf32:
      return convert_plain<kE8M10>(in, out, overflow);
    case NumberFormat::kFloat16:
      return convert_plain<kE5M10>(in, out, overflow);
    case NumberFormat::kBfloat16:
      return convert_plain<kE8M7>(in, out, overflow);
    case NumberFormat::kFp8E4m3:
      return convert_plain<kE4M3>(in, out, overflow);
    case NumberFormat::kFp8E5m2:
      return convert_plain<kE5M2>(in, out, overflow);
    case NumberFormat::kInt8: {
      const float scale = row.row_largest > 0 ? row.row_largest / 127 : 1;
      for (std::size_t i = 0; i < in.size(); ++i) out[i] = decode_int8(encode_int8(in[i], scale), scale);
      return;
    }
    case NumberFormat::kAwq:
      return convert_int4(in, out, row.group, Int4Layout::kAwq);
    case NumberFormat::kGptq:
      return convert_int4(in, out, row.group, Int4Layout::kGptq);
    case NumberFormat::kMxfp4:
      return convert_blocks<Mxfp4Block>(in, out, encode_mxfp4, decode_mxfp4);
    case NumberFormat::kNvfp4: {
      const float scale = nvfp4_tensor_scale(row.tensor_largest);
      return convert_blocks<Nvfp4Block>(
          in, out, [&](std::span<const float> v) { return encode_nvfp4(v, scale); },
          [&](const Nvfp4Block& b) { return decode_nvfp4(b, scale); });
    }
  }
}

}  // namespace headroom
