// Recorded requests: Azure, BurstGPT, Mooncake, ShareGPT lengths, plain CSV and JSON lines, gzip or not.
//
// Any bytes end in requests or in a WorkloadError with file and line. Limits: 1 GiB of text after decompression, 1 MiB
// a line, lengths up to 2^31 - 1 tokens, arrivals up to 1e11 s.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/workload/text_file.h"
#include "sim/workload/workload.h"

namespace headroom {

// The first `limit` requests (0: all), sorted by arrival (stable; the first arrives at 0), with content segments where
// the format has them. Formats and columns, in any order, by header:
//   azure     arrival_s | TIMESTAMP (time_stamp.h), prompt_tokens | ContextTokens, output_tokens | GeneratedTokens
//   burstgpt  Timestamp, Request tokens, Response tokens; rows without a response failed and are left out
//   mooncake  arrival_ms, prompt_tokens, output_tokens, prefix_block_ids; or the published JSON lines
//             {timestamp, input_length, output_length, hash_ids}; timestamps in milliseconds
//   sharegpt  prompt_tokens, output_tokens; no arrivals
//   csv       prompt_tokens, output_tokens, and arrival_s or arrival_ms if there are arrivals
//   jsonl     objects with the same names
// `has_arrivals` says whether the file had any.
struct TraceContent {
  Workload workload;
  bool has_arrivals = false;
};
TraceContent read_trace(const TraceSpec& spec, std::int64_t limit);
// Of its first row: the rest is not looked at.
bool trace_has_arrivals(const TraceSpec& spec);

// One column of lengths of a CSV file.
std::vector<std::int64_t> read_length_column(const std::string& path, const std::string& column);

}  // namespace headroom
