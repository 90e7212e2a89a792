// The weight matrices of a model, listed once: parameters, bytes and the operator graph are all read from this list.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "models/model_shape.h"

namespace headroom {

enum class MatrixRole { kEmbedding, kLmHead, kAttention, kMlp, kExpert, kSharedExpert, kRouter, kNorm, kBias };

// [k, n] with `count` copies in the whole model. On one tensor-parallel rank it is [rank_k, rank_n].
struct Matrix {
  std::string_view name;
  MatrixRole role;
  std::int64_t k, n, count;
  std::int64_t rank_k, rank_n, rank_count;
  bool per_layer;  // divided among pipeline stages
  bool quantizable;
};

// `fused`: q, k, v as one matrix and gate, up as one, as serving engines store them. `expert_parallel`: as
// WeightOptions has it.
std::vector<Matrix> matrices_of(const ModelShape& model, std::int64_t tensor_parallel, bool fused,
                                std::int64_t expert_parallel = 1);

// Bytes of one element of a quantized matrix of `k` inputs and `n` outputs, scales and zeros included (SEMANTICS 7.1):
// what the format's own layout takes (numerics/number_format.h) where it is one of those.
double quantized_bytes(WeightQuantization quantization, std::int64_t k, std::int64_t n, std::int64_t group_size,
                       DType dtype);

}  // namespace headroom
