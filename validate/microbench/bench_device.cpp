#include "validate/microbench/bench_device.h"

#include <algorithm>
#include <memory>
#include <thread>

#include "validate/kernels/elementwise.h"

namespace headroom {
namespace {

constexpr double kReplay = 400e-6;  // seconds of kernels in one graph
constexpr std::int64_t kMostInGraph = 24;
constexpr double kLongPoint = 2e-3;  // seconds
// Large products in a row draw more than an H100 may: after some 20 ms its clock falls and they take 18 % longer, until
// it has rested. In steps other work lies between them.
constexpr double kRest = 4;  // times what went before

void rest(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Google Benchmark's own report is of no use for thousands of points: the points are kept, this one is silent.
class Silent final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs)
      if (run.error_occurred) GetErrorStream() << run.benchmark_name() << ": " << run.error_message << "\n";
  }
};

std::string name_of(const MeasuredPoint& p) {
  const FamilyEntry& entry = entry_of(p.family);
  std::string name = std::string(entry.name) + "/" + p.label;
  for (std::size_t i = 0; i < p.key.size(); ++i)
    name += "/" + std::string(entry.columns[i]) + ":" + std::to_string(p.key[i]);
  return name;
}

}  // namespace

BenchDevice::BenchDevice(const MicrobenchOptions& options, std::int64_t arena_bytes, std::int64_t rows_bytes)
    : options_(options),
      facts_(device_facts()),
      context_bytes_(device_memory().total - device_memory().free),
      arena_(arena_bytes),
      inputs_(rows_bytes),
      outputs_(rows_bytes),
      started_(std::chrono::steady_clock::now()) {
  fill_for(GemmType::kBfloat16);
  // The clocks rise to where they stay.
  const GemmShape warm{GemmType::kBfloat16, 4096, 4096, 4096, false};
  while (seconds_since(started_) < 0.7) {
    gemm_.launch(warm, inputs(), rotated(0, 2 * 4096 * 4096), nullptr, outputs(), stream_);
    stream_.synchronize();
  }
}

void* BenchDevice::rotated(std::int64_t i, std::int64_t bytes, std::int64_t part, std::int64_t parts) const {
  const std::int64_t step = (bytes + 255) / 256 * 256, room = arena_.bytes() / parts / 256 * 256;
  const std::int64_t places = std::max<std::int64_t>(1, room / std::max<std::int64_t>(step, 1));
  return arena_.at(part * room + i % places * step);
}

void BenchDevice::fill_for(GemmType type) {
  if (type == filled_) return;
  filled_ = type;
  for (const DeviceBuffer* buffer : {&arena_, &inputs_}) {
    switch (type) {
      case GemmType::kFloat16:
      case GemmType::kBfloat16:
        fill_random(type == GemmType::kFloat16 ? Element::kFloat16 : Element::kBfloat16, buffer->data(),
                    buffer->bytes() / 2, 1, 1, 0, stream_);
        break;
      case GemmType::kInt8:
        fill_random_bytes(buffer->data(), buffer->bytes(), 1, 0xFF, stream_);
        break;
      default:  // bytes below 0x40 make numbers below two in fp32 and fp8 alike
        fill_random_bytes(buffer->data(), buffer->bytes(), 1, 0x3F, stream_);
    }
  }
  stream_.synchronize();
}

DeviceBuffer BenchDevice::upload(const std::vector<std::int32_t>& values) const {
  DeviceBuffer buffer = on_device(std::span<const std::int32_t>(values), stream_);
  stream_.synchronize();
  return buffer;
}

bool BenchDevice::out_of_time() const {
  return seconds_since(started_) > options_.time_limit_s;
}

void BenchDevice::keep(MeasuredPoint& point, std::vector<double> samples) {
  summarize_samples(std::move(samples), point);
  result_.points.push_back(point);
}

// The graph is submitted behind a kernel that waits, so that no part of the time is the host's.
double BenchDevice::replayed(const Graph& graph, bool cold) {
  if (cold) {
    const std::int64_t bytes = std::min(2 * facts_.l2_bytes, inputs_.bytes() / 2);
    read_stream(static_cast<float*>(outputs_.data()), inputs_.at(inputs_.bytes() - bytes), bytes, stream_);
  }
  launch_wait(30e-6, stream_);
  timer_.start(stream_);
  graph.launch(stream_);
  timer_.stop(stream_);
  return timer_.seconds();
}

void BenchDevice::measure(benchmark::State& state, Work& work) {
  if (work.setup) work.setup();
  const auto graph_of = [&](std::int64_t kernels) {
    return Graph(stream_, [&](Stream s) {
      for (std::int64_t i = 0; i < kernels; ++i) work.kernel(s, i);
    });
  };
  double one = 0;
  std::int64_t kernels = 1;
  {
    work.kernel(stream_, 0);  // loads the module, chooses the algorithm
    stream_.synchronize();
    const Graph single = graph_of(1);
    replayed(single, work.cold);
    one = replayed(single, work.cold);
    kernels = std::clamp<std::int64_t>(static_cast<std::int64_t>(kReplay / one), 1, kMostInGraph);
  }
  const Graph graph = graph_of(kernels);
  if (work.rests) rest(2 * kRest * one);
  replayed(graph, work.cold);
  std::vector<double> samples;
  for ([[maybe_unused]] auto iteration : state) {
    samples.push_back(replayed(graph, work.cold) / static_cast<double>(kernels));
    state.SetIterationTime(samples.back());
    if (work.rests) rest(kRest * static_cast<double>(kernels) * samples.back());
    if (one > kLongPoint &&
        static_cast<std::int64_t>(samples.size()) >= std::max<std::int64_t>(3, options_.repetitions / 3)) {
      // The rest of a long point's repetitions would say the same.
      while (state.KeepRunning()) state.SetIterationTime(samples.back());
      break;
    }
  }
  keep(work.point, std::move(samples));
}

void BenchDevice::plan(const MeasuredPoint& point, std::function<void(benchmark::State&)> measure_it) {
  const Family family = point.family;
  if (!options_.only.empty() && std::find(options_.only.begin(), options_.only.end(), family) == options_.only.end())
    return;
  ++planned_;
  benchmark::RegisterBenchmark(name_of(point).c_str(),
                               [this, family, measure_it](benchmark::State& state) {
                                 if (options_.progress) options_.progress(entry_of(family).name, ++seen_, planned_);
                                 if (out_of_time()) {
                                   ++result_.left_out;
                                   state.SkipWithError("no time left");
                                   return;
                                 }
                                 try {
                                   measure_it(state);
                                 } catch (const std::exception& error) {
                                   state.SkipWithError(error.what());
                                 }
                               })
      ->UseManualTime()
      ->Iterations(options_.repetitions);
}

void BenchDevice::add(Work work) {
  const auto kept = std::make_shared<Work>(std::move(work));
  plan(kept->point, [this, kept](benchmark::State& state) { measure(state, *kept); });
}

void BenchDevice::add_timed(MeasuredPoint point, std::function<double()> run) {
  plan(point, [this, point, run](benchmark::State& state) {
    run();
    std::vector<double> samples;
    for ([[maybe_unused]] auto iteration : state) {
      samples.push_back(run());
      state.SetIterationTime(samples.back());
    }
    MeasuredPoint measured = point;
    keep(measured, std::move(samples));
  });
}

MicrobenchResult BenchDevice::run() {
  char name[] = "headroom";
  char* arguments[] = {name, nullptr};
  int count = 1;
  benchmark::Initialize(&count, arguments);
  Silent silent;
  benchmark::RunSpecifiedBenchmarks(&silent);
  benchmark::ClearRegisteredBenchmarks();
  result_.context_bytes = context_bytes_;
  return std::move(result_);
}

MicrobenchResult run_measurements(const MeasurementPlan& plan, const MicrobenchOptions& options) {
  std::int64_t arena = 4 * device_facts().l2_bytes, rows = std::int64_t{256} << 20;
  for (const GemmShape& g : plan.gemms) {
    arena = std::max(arena, 2 * g.n * g.k * bytes_of(g.type));
    rows = std::max({rows, g.rows * g.k * bytes_of(g.type), g.rows * g.n * result_bytes_of(g.type)});
  }
  for (const auto* points : {&plan.decodes, &plan.layouts})
    for (const DecodePoint& p : *points)
      arena = std::max(arena, 2 * 2 * p.batch * (p.context + 256) * p.heads.kv_heads * p.heads.head_dim);
  for (const PrefillPoint& p : plan.prefills) {
    rows = std::max(rows, 2 * p.batch * p.new_tokens * p.heads.q_heads * p.heads.head_dim);
    arena = std::max(arena, 2 * 2 * p.batch * (p.new_tokens + p.past + 64) * p.heads.kv_heads * p.heads.head_dim);
  }
  for (const PrefillPoint& p : plan.eager_prefills)
    rows = std::max(rows, 2 * p.heads.q_heads * p.new_tokens * p.new_tokens);
  for (const StreamingPoint& p : plan.streams) {
    arena = std::max(arena, 2 * p.bytes);
    rows = std::max(rows, p.bytes);
  }
  for (const SamplingPoint& p : plan.samplings) rows = std::max(rows, 4 * p.rows * p.vocabulary);
  BenchDevice device(options, arena, rows);
  add_overheads(device);
  add_gemms(plan, device);
  add_attention(plan, device);
  add_streams(plan, device);
  add_host_copies(plan, device);
  add_collectives(plan, device);
  return device.run();
}

}  // namespace headroom
