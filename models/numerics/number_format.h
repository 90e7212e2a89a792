// Every number format a tensor can be cast or quantized to, by name: what it stores, what it does to values.
//
// Plain formats convert each number on its own. Scaled formats share a scale: int8 one for each row, the int4 formats
// one (and a zero) for each group of a row, MXFP4 and NVFP4 one for each block of a row. Rows are outputs of a weight
// matrix [n outputs, k inputs], or tokens of recorded activations [tokens, channels].
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "models/numerics/float_format.h"
#include "models/units.h"

namespace headroom {

enum class NumberFormat {
  kFloat32,
  kTf32,
  kFloat16,
  kBfloat16,
  kFp8E4m3,
  kFp8E5m2,
  kInt8,
  kAwq,
  kGptq,
  kMxfp4,
  kNvfp4,
};

struct NumberFormatEntry {
  NumberFormat format;
  std::string_view name;  // as --to spells it
  std::string_view summary;
  std::int64_t block;  // numbers that share a scale; 1: none do; 0: as many as the group size says, -1: a row
};
std::span<const NumberFormatEntry> number_formats();
const NumberFormatEntry& entry_of(NumberFormat format);
std::optional<NumberFormat> number_format_named(std::string_view name);
inline bool is_scaled(NumberFormat format) {
  return entry_of(format).block != 1;
}

// Limits of a plain format; of the scaled ones those of the number under the scale.
struct NumberLimits {
  float largest = 0;
  float smallest_normal = 0;
  float smallest = 0;  // subnormal; integers: 1
};
NumberLimits limits_of(NumberFormat format);

// Bytes of a matrix of `rows` x `columns` (a vector is one row): scales and zeros included, words that hold several
// numbers rounded up as the format packs them (SEMANTICS 7.1). Agrees with Int4Matrix::bytes().
Bytes storage_bytes(NumberFormat format, std::int64_t rows, std::int64_t columns, std::int64_t group = 128);

// What must be known before a part of a row can be converted.
struct RowScale {
  float row_largest = 0;     // largest magnitude of the row: int8
  float tensor_largest = 0;  // of the tensor: nvfp4
  std::int64_t group = 128;  // int4
};
// out[i] = the number that in[i] becomes, as a float. For formats with blocks `in` starts at a block's beginning.

void convert(NumberFormat format, std::span<const float> in, std::span<float> out, const RowScale& row,
             Overflow overflow = Overflow::kStandard);

}  // namespace headroom
