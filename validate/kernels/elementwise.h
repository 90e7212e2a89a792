// Everything of a forward pass that is neither a product nor attention. Rows are tokens; sizes in elements; every size
// a multiple of 8. All of them are bound by memory, read and write each byte once and compute in fp32.
#pragma once

#include <cstdint>

#include "validate/kernels/element.h"

namespace headroom {

// hidden[row] = table[token[row]] (+ positions[position[row] + offset], learned positions).
struct Embedding {
  Element element;
  const std::int32_t* tokens = nullptr;
  const void* table = nullptr;
  const std::int32_t* positions = nullptr;
  const void* position_table = nullptr;  // null: none
  std::int32_t position_offset = 0;
  void* hidden = nullptr;
  std::int64_t rows = 0, width = 0;
};
void launch(const Embedding&, Stream);

// residual += update (if there is one); out = norm(residual) * weight (+ bias). A bias makes it LayerNorm, none
// RMSNorm.
struct Norm {
  Element element;
  void* residual = nullptr;
  const void* update = nullptr;
  const void* weight = nullptr;
  const void* bias = nullptr;
  void* out = nullptr;
  float epsilon = 1e-5f;
  std::int64_t rows = 0, width = 0;  // width at most 16,384
};
void launch(const Norm&, Stream);

// RMSNorm of each query and key head on its own, in place (Qwen3). `heads`: how many from the row's start.
struct HeadNorm {
  Element element;
  void* qkv = nullptr;
  std::int64_t stride = 0;
  const void *q_weight = nullptr, *k_weight = nullptr;
  float epsilon = 1e-6f;
  std::int64_t rows = 0;
  std::int32_t q_heads = 0, kv_heads = 0, head_dim = 0;
};
void launch(const HeadNorm&, Stream);

// Rotary positions on queries and keys in place; the halves of a head are the pairs (Llama's convention).
struct Rope {
  Element element;
  void* qkv = nullptr;
  std::int64_t stride = 0;
  const std::int32_t* positions = nullptr;
  const float* cos_sin = nullptr;  // [position][head_dim / 2][2]
  std::int64_t rows = 0;
  std::int32_t heads = 0;  // queries and keys together
  std::int32_t head_dim = 0;
};
void launch(const Rope&, Stream);

// Keys and values of the rows into the pool; a row with a negative slot is left out.
struct KvWrite {
  Element element;
  const void* qkv = nullptr;
  std::int64_t stride = 0;
  std::int64_t q_size = 0, kv_size = 0;
  const std::int64_t* slots = nullptr;
  void *keys = nullptr, *values = nullptr;  // [slot][kv_size]
  std::int64_t rows = 0;
};
void launch(const KvWrite&, Stream);

enum class Activation { kSiluMul, kRelu, kGelu };
// SiluMul: out[row][i] = silu(in[row][i]) * in[row][width + i]; the others act on `width` inputs a row.
struct Activate {
  Element element;
  Activation function = Activation::kSiluMul;
  const void* in = nullptr;
  void* out = nullptr;
  std::int64_t rows = 0, width = 0;
};
void launch(const Activate&, Stream);

// out[i] = in[rows[i]].
struct Gather {
  Element element;
  const void* in = nullptr;
  const std::int32_t* row_numbers = nullptr;
  void* out = nullptr;
  std::int64_t rows = 0, width = 0;
};
void launch(const Gather&, Stream);

// Greedy sampling in the two kernels of an engine: logits to fp32, then the position of the largest, the first of
// equals.
struct Sample {
  Element element;
  const void* logits = nullptr;  // [row][width]
  float* as_float = nullptr;     // [row][width]
  std::int32_t* tokens = nullptr;
  std::int64_t rows = 0, width = 0;
};
void launch(const Sample&, Stream);

// The growing cache: one tensor [rows][length][width] into a new one [rows][length + 1][width], one token more a row.
struct GrowCache {
  Element element;
  const void *old_cache = nullptr, *added = nullptr;  // added: [rows][width]
  void* new_cache = nullptr;
  std::int64_t rows = 0, length = 0, width = 0;
};
void launch(const GrowCache&, Stream);

// Scores of eager attention: softmax over the keys that a query sees, in fp32, back in the element type, in place.
// scores [matrix][queries][keys]; query i sees keys up to keys - queries + i.
struct CausalSoftmax {
  Element element;
  void* scores = nullptr;
  float scale = 1;
  std::int64_t matrices = 0, queries = 0, keys = 0;
};
void launch(const CausalSoftmax&, Stream);

// to[i] = random_value(seed, i, scale) + offset, rounded.
void fill_random(Element element, void* to, std::int64_t count, std::uint64_t seed, float scale, float offset, Stream);
// As raw bytes, for types that are only moved and multiplied (fp8, int8, fp32).
void fill_random_bytes(void* to, std::int64_t bytes, std::uint64_t seed, std::uint8_t mask, Stream);
// to[i] = from[i], 16 bytes at a time; bytes a multiple of 16.
void copy_stream(void* to, const void* from, std::int64_t bytes, Stream);
// Reads and adds up, writes next to nothing.
void read_stream(float* to, const void* from, std::int64_t bytes, Stream);
// A kernel that does nothing but exist.
void launch_empty(Stream);
// A kernel that keeps the stream busy for about so long.
void launch_wait(double seconds, Stream);

}  // namespace headroom
