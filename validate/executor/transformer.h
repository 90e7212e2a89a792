// A transformer on the GPU: weights of a model's exact shapes, a KV pool, and one forward pass at a time over rows that
// decode and rows of prompt chunks, with greedy sampling. The kernels are those that the simulator counts.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "models/model_shape.h"
#include "validate/executor/weights.h"
#include "validate/kernels/attention.h"
#include "validate/kernels/device.h"
#include "validate/kernels/gemm.h"

namespace headroom {

// One sequence's part of a step.
struct StepRow {
  std::span<const std::int32_t> tokens;  // to compute: one when it decodes; -1 stands for a left pad
  std::int32_t past = 0;                 // stored before, pads included
  std::int32_t padding = 0;
  std::span<const std::int32_t> blocks;  // paged
  std::int64_t first_slot = 0;           // contiguous
  bool samples = true;                   // wants a token
};

struct TransformerOptions {
  Element element = Element::kBfloat16;
  std::int64_t slots = 0;       // of the KV pool
  std::int32_t block_size = 0;  // 0: contiguous
  std::int64_t max_rows = 0;    // tokens of one step
  std::int64_t max_sequences = 0;
  std::int64_t max_length = 0;            // tokens of one sequence, pads included
  std::vector<std::int64_t> graph_sizes;  // rows for which decode steps are recorded as CUDA graphs, and padded to
};

class Transformer {
 public:
  Transformer(const ModelShape& model, TransformerOptions options);
  ~Transformer();

  // One step: `decodes` rows of one token each, then `chunks` of prompts. Returns the token sampled for each decode and
  // each chunk (of chunks that do not sample: -1). Seconds of GPU time in gpu_seconds().
  const std::vector<std::int32_t>& step(std::span<const StepRow> decodes, std::span<const StepRow> chunks);
  double gpu_seconds() const;

  // Logits of the last step's sampled rows, for tests.
  const void* logits() const;
  Stream stream() const;
  std::int64_t weight_bytes() const;
  std::int64_t kv_bytes() const;
  std::int64_t activation_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
