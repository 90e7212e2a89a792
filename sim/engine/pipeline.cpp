#include "sim/engine/pipeline.h"

#include <algorithm>

#include "models/pipeline.h"
#include "sim/config/scenario_derive.h"

namespace headroom {

StepTime Pipeline::pass(double start, const StepShape& shape) {
  std::int64_t tokens = shape.decode_sequences * shape.decode_query_tokens;
  for (const PrefillChunk& chunk : shape.prefills) tokens += chunk.new_tokens * chunk.sequences;
  StepTime sum;
  double at = start;
  for (std::size_t i = 0; i < stages_->size(); ++i) {
    const StepTime t = (*stages_)[i].step_time(shape);
    const double begin = std::max(at, free_at_[i]);
    at = free_at_[i] = begin + t.total.count();
    occupied_ += t.total.count();
    sum.gpu += t.gpu;
    sum.host += t.host;
    sum.gemm += t.gemm;
    sum.attention += t.attention;
    sum.elementwise += t.elementwise;
    sum.cache_copy += t.cache_copy;
    sum.communication += t.communication;
    sum.extrapolated += t.extrapolated;
    sum.working += t.total;
    if (i + 1 == stages_->size()) break;
    const auto bytes = static_cast<double>(tokens * (*stages_)[i].ops().hidden_bytes_per_token);
    const double way = (*sends_)[i].latency.count() + bytes / (*sends_)[i].bandwidth.rate();
    at += way;
    sending_ += way;
    sent_ += bytes;
  }
  sum.total = Seconds{at - start};
  active_ += std::max(0.0, at - std::max(start, covered_));
  covered_ = std::max(covered_, at);
  return sum;
}

std::vector<StepTimeModel> stages_of(const Scenario& s) {
  const std::int64_t stages = s.cluster.pipeline_parallel_size;
  std::vector<StepTimeModel> all;
  for (std::int64_t i = 0; i < stages; ++i) {
    StepTimeOptions o = step_time_options(s);
    const ModelShape part = pipeline_stage(s.model, stages, i);
    o.forward.weights = stage_weights(o.forward.weights, stages, i);
    const double share = static_cast<double>(part.num_layers) / static_cast<double>(s.model.num_layers);
    o.kv_bytes_per_token *= share;
    o.kv_block_bytes = o.kv_block_bytes / s.model.num_layers * part.num_layers;
    if (i > 0) o.host.per_step = o.host.per_sequence = o.host.per_prefill_token = Seconds{0};  // planned once
    all.emplace_back(part, s.hardware, o);
  }
  return all;
}

}  // namespace headroom
