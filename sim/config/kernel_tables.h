// Tables of measured kernels: CSV with a header, gzip or not, times in microseconds.
//
//   gemm                dtype, m, n, k, time_us
//   decode-attention    kv_dtype, batch, context_tokens, q_heads, kv_heads, time_us [, head_dim: 128]
//   prefill-attention   kv_dtype, batch, new_tokens, past_tokens, q_heads, kv_heads, time_us [, head_dim: 128]
//   streaming           bytes, time_us
// Other columns are left alone. Points of a curve are sorted; doubles are averaged.
#pragma once

#include <string>

#include "models/hardware.h"

namespace headroom {

// Adds the tables of one file to the profile, one per dtype. Throws WorkloadError for a damaged file.
void read_gemm_table(const std::string& path, const Source& source, HardwareProfile& profile);
void read_decode_table(const std::string& path, const Source& source, HardwareProfile& profile);
void read_prefill_table(const std::string& path, const Source& source, HardwareProfile& profile);
void read_streaming_table(const std::string& path, const Source& source, HardwareProfile& profile);

}  // namespace headroom
