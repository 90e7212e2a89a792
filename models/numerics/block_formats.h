// Formats in which a group of numbers shares a scale: int8, int4 groups as AWQ and GPTQ store them, MXFP4, NVFP4.
//
// A weight matrix is given as Hugging Face stores it, [n outputs, k inputs], one output a row; groups run along the
// inputs. Quantization here is plain rounding to the nearest code. The searches that give AWQ and GPTQ their names
// (scales by activation, error fed back into later columns) choose other values for the same bits; they are not done,
// so an SQNR from here is a lower bound of what those methods reach.
//
// Sources:
//   AWQ      mit-han-lab/llm-awq and AutoAWQ: qweight [k, n/8] int32, eight outputs a word in the order 0 2 4 6 1 3 5
//   7,
//            qzeros [k/g, n/8] likewise, scales [k/g, n] fp16
//   GPTQ     AutoGPTQ: qweight [k/8, n] int32, eight inputs a word, lowest bits first; qzeros [k/g, n/8] store the zero
//            less one; scales [k/g, n] fp16; g_idx [k] int32
//   MXFP4    OCP Microscaling Formats 1.0, 2023: 32 E2M1 numbers share an E8M0 scale, 2^(floor(log2 max|x|) - 2)
//   NVFP4    NVIDIA, "Introducing NVFP4", 2025: 16 E2M1 numbers share an E4M3 scale max|x|/6, over one fp32 scale a
//            tensor, max|tensor| / (448 * 6)
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace headroom {

// Symmetric int8: codes -127 to 127, nearest even; values beyond saturate. NaN becomes 0. Requires scale > 0.
inline std::int8_t encode_int8(float value, float scale) {
  const float code = value / scale;
  const float cut = code > 127 ? 127.0f : code > -127 ? code : code <= -127 ? -127.0f : 0.0f;
  constexpr float shift = 0x1.8p23f;  // whose last place is 1: the adder rounds
  return static_cast<std::int8_t>((cut + shift) - shift);
}
inline float decode_int8(std::int8_t code, float scale) {
  return static_cast<float>(code) * scale;
}

// Asymmetric int4 of one group: code in 0..15, value = (code - zero) * scale. The scale is an fp16 number.
struct Int4Scale {
  float scale = 1;
  std::int32_t zero = 0;
};
enum class Int4Layout { kAwq, kGptq };

// From the group's least and largest value, zero included in the range. GPTQ's zero is 1 at least: the format stores it
// less one in four bits and kernels add one to what they read, so a zero of 0 would come back as 16.
Int4Scale int4_scale(float least, float largest, Int4Layout layout);
std::uint32_t encode_int4(float value, const Int4Scale& scale);
inline float decode_int4(std::uint32_t code, const Int4Scale& scale) {
  return static_cast<float>(static_cast<std::int32_t>(code) - scale.zero) * scale.scale;
}

// A packed [n, k] matrix. Word order and shapes as above.
struct Int4Matrix {
  Int4Layout layout = Int4Layout::kAwq;
  std::int64_t n = 0, k = 0, group = 128;
  std::vector<std::uint32_t> qweight, qzeros;
  std::vector<std::uint16_t> scales;  // fp16 codes
  std::vector<std::int32_t> g_idx;    // GPTQ only
  std::int64_t bytes() const;
};
// Requires weights.size() == n * k, n and k multiples of 8, k a multiple of group.
Int4Matrix pack_int4(std::span<const float> weights, std::int64_t n, std::int64_t k, std::int64_t group,
                     Int4Layout layout);
std::vector<float> unpack_int4(const Int4Matrix& matrix);

// E2M1 numbers, two a byte, the first in the low half.
struct Mxfp4Block {
  static constexpr std::size_t kSize = 32;
  std::uint8_t scale = 0;  // E8M0
  std::array<std::uint8_t, kSize / 2> codes{};
};
struct Nvfp4Block {
  static constexpr std::size_t kSize = 16;
  std::uint8_t scale = 0;  // E4M3
  std::array<std::uint8_t, kSize / 2> codes{};
};
// Blocks of at most kSize values; what is missing is zero.
Mxfp4Block encode_mxfp4(std::span<const float> values);
std::array<float, Mxfp4Block::kSize> decode_mxfp4(const Mxfp4Block& block);
// The scale of a whole tensor for encode_nvfp4; 1 if the tensor is all zero.
float nvfp4_tensor_scale(float largest_magnitude);
Nvfp4Block encode_nvfp4(std::span<const float> values, float tensor_scale);
std::array<float, Nvfp4Block::kSize> decode_nvfp4(const Nvfp4Block& block, float tensor_scale);

}  // namespace headroom
