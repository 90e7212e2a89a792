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
// A thread block takes one piece of one sequence's context for one KV head; the last block of a sequence and head to
// end combines the pieces, always in the same order. How many pieces there may be only depends on the number of
// sequences, so a captured graph stays valid as contexts grow.
struct DecodePiece {
  std::int32_t sequence = -1;                   // -1: nothing to do
  std::int32_t from = 0, to = 0;                // tiles of kDecodeTile tokens
  std::int32_t first = 0, part = 0, parts = 1;  // which of the sequence's pieces it is, and where their results begin
};
inline constexpr std::int32_t kDecodeTile = 16;
inline constexpr std::int64_t kMostDecodeParts = 64;  // of one sequence
struct DecodeAttention {
  AttentionShape shape;
  KvView kv;
  const void* queries = nullptr;             // [sequence][query_stride], heads first
  std::int64_t query_stride = 0;             // elements
  void* output = nullptr;                    // [sequence][q_heads * head_dim]
  const std::int32_t* contexts = nullptr;    // tokens stored, the new one included; 0: the row is padding
  const std::int32_t* key_begins = nullptr;  // first token that is no left pad; null: 0
  std::int64_t sequences = 0;
  const DecodePiece* pieces = nullptr;
  std::int64_t num_pieces = 0;
  float* parts = nullptr;             // decode_parts_bytes()
  std::uint32_t* arrivals = nullptr;  // [sequences * kv_heads], zero before and after
};
std::int64_t decode_parts_bytes(const AttentionShape& shape, std::int64_t num_pieces);
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
