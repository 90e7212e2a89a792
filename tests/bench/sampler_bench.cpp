// What it costs to draw a workload.
//
//   BM_Bits, BM_Uniform, BM_Exponential, BM_Normal, BM_Gamma    one random number
//   BM_Length                                                   one length in tokens, by law
//   BM_Arrivals                                                 arrival times, by process
//   BM_MakeWorkload                                             whole workloads: Poisson arrivals, lognormal lengths
//   BM_ReadTrace                                                a shipped trace, from file to requests
#include <benchmark/benchmark.h>

#include "sim/workload/arrivals.h"
#include "sim/workload/lengths.h"
#include "sim/workload/random.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

template <class Draw>
void draw_many(benchmark::State& state, Draw draw) {
  Random random(1, "bench");
  for (auto _ : state) benchmark::DoNotOptimize(draw(random));
}

void BM_Bits(benchmark::State& state) {
  draw_many(state, [](Random& r) { return r.bits(); });
}
BENCHMARK(BM_Bits);
void BM_Uniform(benchmark::State& state) {
  draw_many(state, [](Random& r) { return r.uniform(); });
}
BENCHMARK(BM_Uniform);
void BM_Exponential(benchmark::State& state) {
  draw_many(state, [](Random& r) { return r.exponential(1); });
}
BENCHMARK(BM_Exponential);
void BM_Normal(benchmark::State& state) {
  draw_many(state, [](Random& r) { return r.normal(); });
}
BENCHMARK(BM_Normal);
void BM_Gamma(benchmark::State& state) {
  const double shape = static_cast<double>(state.range(0)) / 100;
  draw_many(state, [shape](Random& r) { return r.gamma(shape, 1); });
}
BENCHMARK(BM_Gamma)->ArgName("shape_percent")->Arg(25)->Arg(100)->Arg(400);

void BM_Length(benchmark::State& state) {
  LengthDistribution law;
  law.kind = static_cast<LengthDistribution::Kind>(state.range(0));
  law.mean = 300;
  law.cv = 1;
  law.max = 1024;
  law.values.assign(1000, 300);
  draw_many(state, [&law](Random& r) { return draw_length(law, r); });
  constexpr const char* kNames[] = {"fixed", "uniform", "lognormal", "normal", "exponential", "geometric", "empirical"};
  state.SetLabel(kNames[state.range(0)]);
}
BENCHMARK(BM_Length)->ArgName("law")->DenseRange(0, 6);

void BM_Arrivals(benchmark::State& state) {
  ArrivalProcess process;
  process.kind = static_cast<ArrivalProcess::Kind>(state.range(0));
  process.rate = 10;
  process.burstiness = 0.25;
  process.on_time = process.off_time = Seconds{5};
  constexpr std::int64_t kCount = 10'000;
  for (auto _ : state) {
    Random random(1, "arrivals");
    benchmark::DoNotOptimize(arrival_times(process, kCount, random));
  }
  constexpr const char* kNames[] = {"poisson", "gamma", "constant", "batch", "on-off"};
  state.SetLabel(kNames[state.range(0)]);
  state.counters["arrivals/s"] = benchmark::Counter(kCount, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_Arrivals)->ArgName("process")->DenseRange(0, 4)->Unit(benchmark::kMicrosecond);

void BM_MakeWorkload(benchmark::State& state) {
  WorkloadSpec spec;
  spec.requests = state.range(0);
  spec.arrivals.rate = 100;
  spec.prompt_tokens = {LengthDistribution::Kind::kLognormal, 161, 1.1, 1, 1024, {}};
  spec.output_tokens = {LengthDistribution::Kind::kLognormal, 338, 1.0, 1, 1024, {}};
  for (auto _ : state) benchmark::DoNotOptimize(make_workload(spec, 1));
  state.counters["requests/s"] =
      benchmark::Counter(static_cast<double>(spec.requests), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_MakeWorkload)->ArgName("requests")->Arg(1000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void BM_ReadTrace(benchmark::State& state) {
  const TraceSpec traces[] = {
      {TraceFormat::kAzure, HEADROOM_SOURCE_DIR "/configs/traces/azure-conv-2023.csv.gz", 512},
      {TraceFormat::kMooncake, HEADROOM_SOURCE_DIR "/configs/traces/mooncake-conversation.csv.gz", 512}};
  const TraceSpec& trace = traces[state.range(0)];
  std::size_t requests = 0;
  for (auto _ : state) requests = read_trace(trace, 0).workload.requests.size();
  state.SetLabel(state.range(0) == 0 ? "azure" : "mooncake");
  state.counters["requests/s"] =
      benchmark::Counter(static_cast<double>(requests), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_ReadTrace)->ArgName("trace")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headroom
