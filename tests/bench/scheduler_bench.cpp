// BM_Plan    one plan and its completion in a steady decode of N sequences, step by step, per scheduler
#include <benchmark/benchmark.h>

#include "tests/unit/sched/harness.h"

namespace headroom {
namespace {

void BM_Plan(benchmark::State& state, const char* name) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  KvAllocatorOptions kv_options;
  kv_options.capacity_tokens = std::int64_t{16} << 26;
  kv_options.kv_bytes_per_token = 1;
  kv_options.num_layers = 1;
  SchedulerOptions options;
  options.scheduler = name;
  options.max_num_seqs = state.range(0);
  options.max_num_batched_tokens = 1 << 20;
  options.max_model_len = 1 << 26;
  const Workload workload = testing::workload_of(std::vector<testing::Asked>(rows, {16, 1 << 20}));
  const auto kv = testing::allocator_named("paged", kv_options);
  const auto scheduler = scheduler_named(name).make(workload, *kv, options, 0);
  for (std::uint32_t i = 0; i < rows; ++i) scheduler->enqueue(i);
  StepPlan plan;
  StepOutcome outcome;
  SlotSeconds ledger;
  std::int64_t steps = 0;
  for (auto _ : state) {
    if (++steps > (1 << 20) - 2) state.SkipWithError("the outputs have ended");
    scheduler->plan(plan);
    if (plan.decodes) kv->advance(1, Seconds{0.01}, Seconds{0}, ledger);
    scheduler->complete(plan, 1, outcome);
  }
  state.counters["steps/s"] = benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(BM_Plan, vllm_v1, "vllm-v1")->ArgName("rows")->Arg(20)->Arg(256)->Iterations(200000);
BENCHMARK_CAPTURE(BM_Plan, vllm_v0, "vllm-v0")->ArgName("rows")->Arg(20)->Arg(256)->Iterations(200000);
BENCHMARK_CAPTURE(BM_Plan, sarathi, "sarathi")->ArgName("rows")->Arg(20)->Arg(256)->Iterations(200000);
BENCHMARK_CAPTURE(BM_Plan, hf_continuous, "hf-continuous")->ArgName("rows")->Arg(20)->Arg(256)->Iterations(200000);
BENCHMARK_CAPTURE(BM_Plan, hf_generate, "hf-generate")->ArgName("rows")->Arg(20)->Arg(256)->Iterations(200000);

}  // namespace
}  // namespace headroom
