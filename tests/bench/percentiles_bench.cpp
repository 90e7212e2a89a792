// Statistics of a run.
//
//   BM_GapRuns    percentiles of runs of gaps; spread 0: as a simulation gives them, 1: each as wide as everything
//   BM_Values     percentiles of plain values, as of one latency a request
//   BM_Timeline   thinning of timeline rows
#include <benchmark/benchmark.h>

#include <vector>

#include "sim/metrics/summary.h"
#include "sim/metrics/timeline.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

void BM_GapRuns(benchmark::State& state) {
  Random random(1, "gaps");
  std::vector<GapRun> runs(static_cast<std::size_t>(state.range(0)));
  const double slope = state.range(1) == 0 ? 1e-6 : 1e-3;  // seconds a step; gaps are some tens of milliseconds
  double gaps = 0;
  for (GapRun& run : runs) {
    run.first = random.below(1000) == 0 ? 2 * random.uniform() : 0.005 + 0.045 * random.uniform();
    run.slope = slope * random.uniform();
    run.steps = static_cast<std::uint32_t>(1 + random.below(100));
    run.sequences = static_cast<std::uint32_t>(1 + random.below(64));
    gaps += static_cast<double>(run.steps) * run.sequences;
  }
  for (auto _ : state) benchmark::DoNotOptimize(distribution_of(std::span<const GapRun>(runs)));
  state.counters["gaps/s"] = benchmark::Counter(gaps, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_GapRuns)
    ->ArgNames({"runs", "spread"})
    ->Args({1'000, 0})
    ->Args({100'000, 0})
    ->Args({1'000'000, 0})
    ->Args({1'000'000, 1})
    ->Args({3'000'000, 0})
    ->Unit(benchmark::kMillisecond);

void BM_Values(benchmark::State& state) {
  Random random(1, "values");
  std::vector<double> drawn(static_cast<std::size_t>(state.range(0)));
  for (double& v : drawn) v = random.exponential(1);
  for (auto _ : state) {
    std::vector<double> values = drawn;
    benchmark::DoNotOptimize(distribution_of(values));
  }
}
BENCHMARK(BM_Values)->ArgName("values")->RangeMultiplier(100)->Range(100, 1'000'000)->Unit(benchmark::kMillisecond);

void BM_Timeline(benchmark::State& state) {
  const auto replicas = static_cast<std::uint32_t>(state.range(0));
  constexpr int kRows = 1'000'000;
  std::size_t kept = 0;
  for (auto _ : state) {
    Timeline timeline;
    Random random(1, "timeline");
    TimelineRow row;
    for (int i = 0; i < kRows; ++i) {
      row.time = i;
      row.replica = static_cast<std::uint32_t>(i) % replicas;
      row.slots.tokens = static_cast<std::int64_t>(random.below(100'000));
      row.slots.empty = 100'000 - row.slots.tokens;
      row.running = i % 97;
      timeline.add(row);
    }
    kept = timeline.take().size();
  }
  state.counters["kept"] = static_cast<double>(kept);
  state.counters["rows/s"] = benchmark::Counter(kRows, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_Timeline)->ArgName("replicas")->Arg(1)->Arg(64)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headroom
