#include "models/pipeline.h"

#include <algorithm>
#include <numeric>

namespace headroom {

std::vector<std::int64_t> pipeline_layers(std::int64_t layers, std::int64_t stages) {
  std::vector<std::int64_t> parts(static_cast<std::size_t>(stages), layers / stages);
  for (std::int64_t i = 2; i < layers % stages + 2; ++i) ++parts[static_cast<std::size_t>(stages - i)];
  return parts;
}

ModelShape pipeline_stage(const ModelShape& model, std::int64_t stages, std::int64_t stage) {
  const std::vector<std::int64_t> parts = pipeline_layers(model.num_layers, stages);
  const std::int64_t first = std::accumulate(parts.begin(), parts.begin() + stage, std::int64_t{0});
  const std::int64_t layers = parts[static_cast<std::size_t>(stage)], end = first + layers;
  ModelShape part = model;
  part.num_layers = layers;
  if (part.experts)
    part.experts->num_dense_layers = std::clamp<std::int64_t>(model.experts->num_dense_layers - first, 0, layers);
  if (part.sliding_window) {
    const std::int64_t windowed = model.sliding_window->num_layers;
    part.sliding_window->num_layers = windowed * end / model.num_layers - windowed * first / model.num_layers;
  }
  return part;
}

WeightOptions stage_weights(WeightOptions weights, std::int64_t stages, std::int64_t stage) {
  weights.embedding = stage == 0;
  weights.lm_head = stage == stages - 1;
  return weights;
}

}  // namespace headroom
