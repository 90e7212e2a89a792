// A model cut into pipeline stages, as vLLM cuts it.
#pragma once

#include <cstdint>
#include <vector>

#include "models/model_shape.h"

namespace headroom {

// Layers of each stage: as even as can be; what is left over goes to the stages before the last, the last of these
// first, since the last stage has the LM head (vLLM, distributed/utils.py, get_pp_indices, since v0.7). Requires
// 1 <= stages <= layers.
std::vector<std::int64_t> pipeline_layers(std::int64_t layers, std::int64_t stages);

// The layers of stage `stage` as a model of their own. Which of a stage's layers have a window does not matter, how
// many do is its share of them, whole layers.
ModelShape pipeline_stage(const ModelShape& model, std::int64_t stages, std::int64_t stage);

// `weights` of that stage: the first has the embedding, the last the final norm and the LM head.
WeightOptions stage_weights(WeightOptions weights, std::int64_t stages, std::int64_t stage);

}  // namespace headroom
