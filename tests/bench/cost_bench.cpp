// BM_DecodeRun    a run of decode steps in closed form, warm
// BM_StepTime     one step with a prompt of 512 tokens
// BM_Tables       reading a profile with its kernel tables
#include <benchmark/benchmark.h>

#include "models/step_time.h"
#include "sim/config/catalogue.h"

namespace headroom {
namespace {

StepTimeModel model() {
  StepTimeOptions options;
  options.host.per_step = Seconds{1e-3};
  return StepTimeModel(read_model(HEADROOM_SOURCE_DIR "/configs/models/llama-3.1-8b.yaml"),
                       read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml"), options);
}

void BM_DecodeRun(benchmark::State& state) {
  const StepTimeModel m = model();
  StepShape shape;
  shape.decode_sequences = shape.logit_rows = state.range(0);
  std::int64_t context = 0;
  for (auto _ : state) {
    context = (context + 977) % 100'000;
    shape.decode_context = shape.decode_windowed_context = shape.decode_sequences * 100 + context;
    benchmark::DoNotOptimize(m.decode_run(shape, {shape.decode_sequences, shape.decode_sequences, 0}, 500));
  }
}
BENCHMARK(BM_DecodeRun)->ArgName("sequences")->Arg(1)->Arg(20)->Arg(256);

void BM_StepTime(benchmark::State& state) {
  const StepTimeModel m = model();
  const PrefillChunk chunk{512, 0, 1};
  StepShape shape;
  shape.decode_sequences = 64;
  shape.logit_rows = 65;
  shape.decode_context = shape.decode_windowed_context = std::int64_t{64} * 700;
  shape.prefills = {&chunk, 1};
  for (auto _ : state) benchmark::DoNotOptimize(m.step_time(shape));
}
BENCHMARK(BM_StepTime);

void BM_Tables(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml"));
}
BENCHMARK(BM_Tables)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headroom
