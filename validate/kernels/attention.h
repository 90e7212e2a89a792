// Attention over a KV pool, for decoding rows and for prompts in chunks.
//
// The pool of one layer is keys[slot][kv_head][head_dim] and values likewise. Token i of a sequence lies in slot
// table[i / block_size] * block_size + i % block_size (paged), or first_slot + i (contiguous). Softmax is online and in
// fp32, products run on the tensor cores with fp32 sums. Scores are scaled by 1/sqrt(head_dim).
#pragma once

#include <cstdint>

#include "validate/kernels/element.h"

namespace headroom {

struct AttentionShape {
  Element element = Element::kBfloat16;
  std::int32_t q_heads = 0;
  std::int32_t kv_heads = 0;    // divides q_heads, at most 16 query heads for each
  std::int32_t head_dim = 128;  // 64 or 128
};
// Null when the kernels serve this shape, else what they would need.
const char* why_unserved(const AttentionShape& shape);

struct KvView {
  const void* keys = nullptr;
  const void* values = nullptr;
  const std::int32_t* block_tables = nullptr;  // [sequence][table_stride]; null: contiguous
  std::int64_t table_stride = 0;
  std::int32_t block_size = 16;               // a power of two from 8 on
  const std::int64_t* first_slots = nullptr;  // contiguous: [sequence]
};

// One query token for each sequence.
//
// Each pair of sequence and KV head is split along its context over `splits` thread blocks, which only depends on the
// number of sequences: a captured graph stays valid as contexts grow. The last block of a pair to end combines the
// parts, always in the same order.
struct DecodeAttention {
  AttentionShape shape;
  KvView kv;
  const void* queries = nullptr;             // [sequence][query_stride], heads first
  std::int64_t query_stride = 0;             // elements
  void* output = nullptr;                    // [sequence][q_heads * head_dim]
  const std::int32_t* contexts = nullptr;    // tokens stored, the new one included; 0: the row is padding
  const std::int32_t* key_begins = nullptr;  // first token that is no left pad; null: 0
  std::int64_t sequences = 0;
  std::int32_t splits = 1;
  float* parts = nullptr;             // decode_parts_bytes()
  std::uint32_t* arrivals = nullptr;  // [sequences * kv_heads], zero before and after
};
std::int32_t decode_splits(const AttentionShape& shape, std::int64_t sequences, std::int32_t num_sms);
std::int64_t decode_parts_bytes(const AttentionShape& shape, std::int64_t sequences, std::int32_t splits);
void launch(const DecodeAttention& attention, Stream stream);

// Rows of prompt chunks, causal: query i of a chunk sees the tokens up to context - new_tokens + i.
inline constexpr std::int32_t kQueryTile = 64;
struct QueryTile {
  std::int32_t sequence = 0;   // index into the arrays below
  std::int32_t first_row = 0;  // of the tile, in its chunk; a multiple of kQueryTile
};
struct PrefillAttention {
  AttentionShape shape;
  KvView kv;
  const void* queries = nullptr;  // [row][query_stride], heads first
  std::int64_t query_stride = 0;
  void* output = nullptr;  // [row][q_heads * head_dim]
  const QueryTile* tiles = nullptr;
  std::int64_t num_tiles = 0;
  const std::int32_t* first_rows = nullptr;  // [sequence] of its chunk among all rows
  const std::int32_t* new_tokens = nullptr;
  const std::int32_t* contexts = nullptr;  // past and new tokens
  const std::int32_t* key_begins = nullptr;
};
void launch(const PrefillAttention& attention, Stream stream);

}  // namespace headroom
