// Where each byte of one GPU goes before the first request: weights, activation peak, context, other, KV pool, unused.
//
// Each engine has its own rule for what counts against its share of the card (SEMANTICS 1.5, 1.6, 2.1.2, 2.2.2, 3).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/hardware.h"
#include "models/model_shape.h"
#include "models/operator_graph.h"
#include "models/units.h"
#include "models/zero.h"

namespace headroom {

enum class MemoryRule {
  kCacheFlow,          // vLLM up to June 2023: total*util - weights - activations by a formula - 1 GiB
  kVllmV0,             // total*util - peak (2.1.2)
  kVllmV1,             // total*util - weights - activation peak; context outside of the share (2.2.2)
  kVllmV1GraphAware,   // as kVllmV1, the CUDA-graph estimate taken off too (2026)
  kHfGenerate,         // nothing reserved ahead: the pool is what the card has left (1.5)
  kHfContinuous2025,   // 1.6, the quadratic
  kHfContinuous2026,   // 1.6, M first
  kFasterTransformer,  // 3.1: buffers of a whole batch; the pool is what the card has left
};

struct MemoryPlanInput {
  MemoryRule rule = MemoryRule::kVllmV1;
  ForwardOptions forward;
  std::int64_t tensor_parallel = 1;
  std::int64_t pipeline_parallel = 1;
  double gpu_memory_utilization = 0.9;
  std::int64_t max_num_batched_tokens = 2048;
  std::int64_t max_num_seqs = 256;
  std::int64_t max_model_len = 0;       // of the engine; 0: the model's
  std::int64_t block_size = 16;         // tokens
  std::int64_t prefill_tokens = 0;      // kHfGenerate, kFasterTransformer: tokens of the largest prefill, B * Sp
  Bytes cuda_graph_bytes;               // graph pools, 0 when none are captured
  bool null_block = false;              // V1 keeps one block that is never used
  Bytes draft_weights;                  // of a draft model or head, beside the model's
  std::int64_t draft_kv_per_token = 0;  // and its KV, bytes
  std::optional<ZeroWeights> zero;      // weights sharded or kept off the GPU
  bool autograd = false;                // a pass keeps what a backward pass would read
  Checkpointing checkpointing;
  std::optional<Bytes> kv_cache_memory;  // overrides the rule
  std::optional<Blocks> num_gpu_blocks_override;
};

struct MemoryPlan {
  Bytes gpu;  // = sum of the six below, exactly
  Bytes weights;
  Bytes gathered_weights;  // of weights: brought together for the layers at hand (ZeRO-3, offload)
  Bytes activation_peak;   // logits stage included where the rule counts it
  Bytes kept_by_autograd;  // of activation_peak: more than the same pass would need without
  Bytes context;
  Bytes other;  // graph pools, workspaces, communicator buffers
  Bytes kv_pool;
  Bytes unused;                // the 1 - utilization share and what is smaller than a block
  BytesPerToken kv_per_token;  // on this rank
  Tokens kv_pool_tokens;
  Blocks num_gpu_blocks;   // usable ones; 0 for engines without blocks
  std::int64_t stage = 0;  // of a pipeline: the one this is, which has the least room

  // Empty when the model fits. Otherwise: by how much it does not, and what would make it fit.
  std::string does_not_fit;
};

// Throws nothing: a model that does not fit is an answer, in does_not_fit, with kv_pool zero.
MemoryPlan plan_memory(const ModelShape& model, const HardwareProfile& hardware, const MemoryPlanInput& input);

}  // namespace headroom
