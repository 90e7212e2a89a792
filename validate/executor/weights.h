// The tensors of a model as they lie in one buffer: exactly the parameters the simulator counts, filled with random
// numbers that the host can compute too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/model_shape.h"

namespace headroom {

struct WeightTensor {
  std::string name;
  std::int64_t offset = 0;  // elements from the buffer's start
  std::int64_t rows = 0, columns = 0;
  std::uint64_t seed = 0;
  float scale = 0, shift = 0;  // values are uniform in shift +- scale
  std::int64_t count() const { return rows * columns; }
};

struct LayerTensors {  // numbers of tensors; -1: the model has none
  int norm1 = -1, norm1_bias = -1, qkv = -1, qkv_bias = -1, q_norm = -1, k_norm = -1, out = -1, out_bias = -1;
  int norm2 = -1, norm2_bias = -1, up = -1, up_bias = -1, down = -1, down_bias = -1;
};

struct WeightLayout {
  std::vector<WeightTensor> tensors;
  std::vector<LayerTensors> layers;
  int embedding = -1, positions = -1, final_norm = -1, final_norm_bias = -1, lm_head = -1;
  std::int64_t elements = 0;
  const WeightTensor& at(int i) const { return tensors[static_cast<std::size_t>(i)]; }
};

// Null when the executor can run this shape, else what it has that the executor does not do.
const char* why_not_executed(const ModelShape& model);

// Throws std::logic_error unless the tensors add up to count_parameters().
WeightLayout weight_layout(const ModelShape& model);

// Pairs of cosine and sine for positions [0, length): [position][head_dim / 2][2]. theta is 10,000 for every model: the
// base of the rotation costs nothing and weights are random.
std::vector<float> rotary_table(std::int64_t length, std::int64_t head_dim);

}  // namespace headroom
