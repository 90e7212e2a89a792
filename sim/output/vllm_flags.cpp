#include "sim/output/vllm_flags.h"

#include <fmt/format.h>

namespace headroom {
namespace {

// vLLM's --quantization words; empty: it has none for this format.
const char* word_of(WeightQuantization quantization) {
  switch (quantization) {
    case WeightQuantization::kFp8:
    case WeightQuantization::kFp8Block:
      return "fp8";
    case WeightQuantization::kAwq:
      return "awq";
    case WeightQuantization::kGptq:
      return "gptq";
    case WeightQuantization::kMarlin:
      return "gptq_marlin";
    case WeightQuantization::kNf4:
      return "bitsandbytes";
    case WeightQuantization::kMxfp4:
      return "mxfp4";
    case WeightQuantization::kInt8:
    case WeightQuantization::kNvfp4:
      return "compressed-tensors";
    case WeightQuantization::kNone:
      break;
  }
  return "";
}

}  // namespace

std::string vllm_serve_line(const Scenario& s) {
  const SchedulerOptions& o = s.engine.scheduler;
  const bool v1 = o.scheduler == "vllm-v1";
  if (!v1 && o.scheduler != "vllm-v0") return {};
  std::string line = fmt::format("vllm serve {} --dtype {}", s.model.name, name_of(s.dtype));
  if (s.quantization != WeightQuantization::kNone) line += fmt::format(" --quantization {}", word_of(s.quantization));
  if (s.kv_dtype != s.dtype) line += " --kv-cache-dtype fp8";
  if (s.cluster.tensor_parallel_size > 1)
    line += fmt::format(" --tensor-parallel-size {}", s.cluster.tensor_parallel_size);
  if (s.cluster.pipeline_parallel_size > 1)
    line += fmt::format(" --pipeline-parallel-size {}", s.cluster.pipeline_parallel_size);
  if (s.cluster.enable_expert_parallel) {
    if (s.cluster.replicas > 1) line += fmt::format(" --data-parallel-size {}", s.cluster.replicas);
    line += " --enable-expert-parallel";
  }
  line += fmt::format(" --max-model-len {} --max-num-seqs {} --max-num-batched-tokens {}", o.max_model_len,
                      o.max_num_seqs, o.max_num_batched_tokens);
  line +=
      fmt::format(" --gpu-memory-utilization {} --block-size {}", s.engine.gpu_memory_utilization, s.engine.block_size);
  line += s.engine.enable_prefix_caching ? " --enable-prefix-caching" : " --no-enable-prefix-caching";
  if (const Bytes size = s.engine.kv_offloading_size; size.count() > 0)
    line += fmt::format(" --kv-offloading-size {}", size / Bytes{kGiB});
  if (v1 && !o.enable_chunked_prefill) line += " --no-enable-chunked-prefill";
  if (v1 && s.engine.host.asynchronous) line += " --async-scheduling";
  if (s.engine.host.graph_sizes.empty()) line += " --enforce-eager";
  return line;
}

}  // namespace headroom
