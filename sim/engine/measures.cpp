#include "sim/engine/measures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "models/generate_peak.h"
#include "sim/config/scenario_derive.h"

namespace headroom {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

template <Distribution Summary::*law, double Distribution::*part>
double of_latency(const Scenario&, const RunResult&, const Summary& m) {
  return (m.*law).count > 0 ? (m.*law).*part : kNone;
}
template <double Summary::*part>
double of_summary(const Scenario&, const RunResult&, const Summary& m) {
  return m.*part;
}
template <std::int64_t Summary::*part>
double of_count(const Scenario&, const RunResult&, const Summary& m) {
  return static_cast<double>(m.*part);
}
template <auto MemoryPlan::*part>
double of_plan(const Scenario&, const RunResult& run, const Summary&) {
  return static_cast<double>((run.memory.*part).count());
}

double blocks(const Scenario&, const RunResult& run, const Summary&) {
  const auto n = run.memory.num_gpu_blocks.count();
  return n > 0 ? static_cast<double>(n) : kNone;
}

// Engines report the null block with the others.
double reported_blocks(const Scenario& s, const RunResult& run, const Summary& m) {
  return blocks(s, run, m) + (s.engine.null_block ? 1 : 0);
}

double smallest_gap(const Scenario&, const RunResult& run, const Summary&) {
  double least = std::numeric_limits<double>::infinity();
  for (const GapRun& g : run.gaps) least = std::min({least, g.first, g.first + g.slope * (g.steps - 1.0)});
  return std::isfinite(least) ? least : kNone;
}

// Static batches of generate() are the requests that one replica started at one time.
double peak_allocated(const Scenario& s, const RunResult& run, const Summary& m) {
  const auto weights = static_cast<double>(run.memory.weights.count());
  if (s.engine.scheduler.scheduler != "hf-generate")
    return weights + static_cast<double>((run.memory.activation_peak + m.kv_peak).count());
  std::map<std::pair<std::uint32_t, double>, GenerateCall> batches;
  for (const RequestRecord& r : run.requests) {
    if (r.scheduled < 0) continue;
    GenerateCall& call =
        batches.try_emplace({r.replica, r.scheduled}, GenerateCall{0, 0, 0, s.engine.scheduler.static_cache})
            .first->second;
    call.rows += r.samples;
    call.prompt_tokens = std::max<std::int64_t>(call.prompt_tokens, r.prompt_tokens);
    call.new_tokens = std::max<std::int64_t>(call.new_tokens, r.output_tokens / std::max(1, r.samples));
  }
  std::int64_t most = 0;
  for (const auto& [start, call] : batches)
    most = std::max(most, generate_peak(s.model, forward_options(s), call).count());
  return weights + static_cast<double>(most + blas_workspace(s.hardware).count());
}

double token_states(const Scenario&, const RunResult&, const Summary& m) {
  return m.waste.token_states;
}

#define HEADROOM_LATENCY(name, law)                                                                     \
  Measure{name ".mean", Dimensions::kTime, of_latency<&Summary::law, &Distribution::mean>},             \
      Measure{name ".p50", Dimensions::kTime, of_latency<&Summary::law, &Distribution::p50>},           \
      Measure{name ".p90", Dimensions::kTime, of_latency<&Summary::law, &Distribution::p90>},           \
      Measure{name ".p95", Dimensions::kTime, of_latency<&Summary::law, &Distribution::p95>},           \
      Measure{name ".p99", Dimensions::kTime, of_latency<&Summary::law, &Distribution::p99>}, Measure { \
    name ".max", Dimensions::kTime, of_latency<&Summary::law, &Distribution::max>                       \
  }

constexpr Measure kMeasures[] = {
    {"duration_s", Dimensions::kTime, of_summary<&Summary::duration>},
    {"requests_per_s", Dimensions::kRate, of_summary<&Summary::requests_per_s>},
    {"output_tokens_per_s", Dimensions::kRate, of_summary<&Summary::output_tokens_per_s>},
    {"total_tokens_per_s", Dimensions::kRate, of_summary<&Summary::total_tokens_per_s>},
    HEADROOM_LATENCY("ttft_s", ttft),
    HEADROOM_LATENCY("tpot_s", tpot),
    HEADROOM_LATENCY("itl_s", itl),
    {"itl_s.min", Dimensions::kTime, smallest_gap},
    HEADROOM_LATENCY("e2el_s", e2el),
    HEADROOM_LATENCY("queue_s", queue),
    HEADROOM_LATENCY("normalized_s_per_token", normalized),
    {"preemptions", Dimensions::kCount, of_count<&Summary::preemptions>},
    {"mean_batch", Dimensions::kCount, of_summary<&Summary::mean_batch>},
    {"token_states", Dimensions::kCount, token_states},
    {"weights_bytes", Dimensions::kSize, of_plan<&MemoryPlan::weights>, true},
    {"kv_pool_bytes", Dimensions::kSize, of_plan<&MemoryPlan::kv_pool>, true},
    {"kv_pool_tokens", Dimensions::kCount, of_plan<&MemoryPlan::kv_pool_tokens>, true},
    {"num_gpu_blocks", Dimensions::kCount, blocks, true},
    {"reported_gpu_blocks", Dimensions::kCount, reported_blocks, true},
    {"peak_allocated_bytes", Dimensions::kSize, peak_allocated, true},
};

#undef HEADROOM_LATENCY

}  // namespace

std::span<const Measure> measures() {
  return kMeasures;
}

const Measure* measure_named(std::string_view name) {
  for (const Measure& m : kMeasures)
    if (m.name == name) return &m;
  return nullptr;
}

bool belongs_to(std::string_view name, std::string_view family) {
  return name == family || (name.starts_with(family) && name[family.size()] == '.');
}

}  // namespace headroom
