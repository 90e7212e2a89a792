// BM_Engine    a whole run, end to end, per engine preset: Llama-3.1-8B on an H100, 2,000 requests at 8/s
#include <benchmark/benchmark.h>

#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"

namespace headroom {
namespace {

void BM_Engine(benchmark::State& state, const char* preset) {
  LoadOptions options;
  options.overrides = {"workload.requests=2000", "workload.arrivals.rate=8/s", std::string("engine.preset=") + preset,
                       "engine.max_model_len=8192"};
  if (std::string(preset) == "fastertransformer") options.overrides.emplace_back("engine.max_num_seqs=8");
  const ScenarioFile file = load_scenario(HEADROOM_SOURCE_DIR "/configs/scenarios/one-gpu-poisson.yaml", options);
  const Scenario& scenario = file.variants.front().second;
  const Workload workload = workload_of(scenario);
  std::int64_t steps = 0;
  for (auto _ : state) {
    const RunResult run = simulate(scenario, workload);
    for (const ReplicaResult& r : run.replicas) steps += r.steps;
  }
  state.counters["requests/s"] =
      benchmark::Counter(2000.0 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  state.counters["steps/s"] = benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(BM_Engine, hf_generate, "hf-generate")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Engine, hf_continuous, "hf-continuous")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Engine, fastertransformer, "fastertransformer")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Engine, orca, "orca")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Engine, vllm_v0, "vllm-v0")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Engine, vllm_v1_2025, "vllm-v1-2025")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Engine, vllm_v1_2026, "vllm-v1-2026")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Engine, sarathi, "sarathi")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headroom
