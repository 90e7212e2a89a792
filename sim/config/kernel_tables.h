// Tables of measured kernels: CSV with a header, gzip or not, times in microseconds.
//
//   gemm                dtype, m, n, k, time_us
//   decode-attention    kv_dtype, batch, context_tokens, q_heads, kv_heads, time_us [, head_dim: 128]
//   prefill-attention   kv_dtype, batch, new_tokens, past_tokens, q_heads, kv_heads, time_us [, head_dim: 128]
//   streaming           bytes, time_us
// A row may hold a whole curve: columns m=1, m=2, m=4, ... with a time in each, or nothing, stand for m and time_us.
// Other columns are left alone. Points of a curve are sorted; doubles are averaged.
#pragma once

#include <string>

#include "models/hardware.h"
#include "models/kernel_time.h"

namespace headroom {

enum class TableKind { kGemm, kDecodeAttention, kUnequalDecode, kPrefillAttention, kStreaming };

// A table that a profile names.
struct TableFile {
  TableKind kind = TableKind::kGemm;
  std::string path;
  Source source;
};

// Adds a file's tables to the profile, one per dtype. With `use`, only those it asks for: rows of other types and heads
// are passed over, and what is wrong with them goes unsaid. Throws WorkloadError for a damaged file.
void read_table(const TableFile& file, HardwareProfile& profile, const TableUse* use = nullptr);

// The same tables for another copy of the profile.
void copy_tables(const HardwareProfile& from, HardwareProfile& to);

}  // namespace headroom
