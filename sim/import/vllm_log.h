// What vLLM says when it starts, v0.3 to v0.29: settings, what it found of memory, and which card it runs on.
//
// Lines are looked for by their words, wherever they stand, so prefixes of processes, containers and log shippers do
// not matter. Where a figure is said several times (workers, data-parallel engines), the smallest counts, as in vLLM.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/import/vllm_flags.h"

namespace headroom {

struct VllmLog {
  VllmCommand command;  // settings in the words of the flags; later ones stand
  std::string device;   // "NVIDIA A10G"; empty: the log does not say
  std::optional<double> gpu_memory_gib, weights_gib, activation_gib, kv_cache_gib, cuda_graph_gib;
  std::optional<std::int64_t> kv_tokens;   // "GPU KV cache size"
  std::optional<std::int64_t> gpu_blocks;  // "# GPU blocks"
  bool is_start_up = false;                // a line that says model and engine was there
};

VllmLog parse_vllm_log(std::string_view text);

}  // namespace headroom
