// What the benchmarks of all families share on the device: one arena for operands that rotate, buffers for rows, a
// stream, and a way to time one kernel among many.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "validate/kernels/device.h"
#include "validate/kernels/gemm.h"
#include "validate/microbench/microbench.h"

namespace headroom {

class BenchDevice {
 public:
  BenchDevice(const MicrobenchOptions& options, std::int64_t arena_bytes, std::int64_t rows_bytes);

  // A point and what it launches: `kernel(stream, i)` once, the i-th of the run. setup() comes first, outside the time.
  struct Work {
    MeasuredPoint point;
    std::function<void()> setup;
    std::function<void(Stream, std::int64_t)> kernel;
    bool rests = false;  // between repetitions, so that the card's power limit slows none
    bool cold = false;   // what rotates comes from memory in a step, and so must it here, however small it is
  };
  void add(Work work);
  // A point timed on the host: `run()` does it once and returns its seconds.
  void add_timed(MeasuredPoint point, std::function<double()> run);
  MicrobenchResult run();

  Stream stream() const { return stream_; }
  Gemm& gemm() { return gemm_; }
  const DeviceFacts& facts() const { return facts_; }
  // Operand number i of a rotation through the arena's `part` (of `parts` equal ones).
  void* rotated(std::int64_t i, std::int64_t bytes, std::int64_t part = 0, std::int64_t parts = 1) const;
  std::int64_t arena_bytes() const { return arena_.bytes(); }
  void* inputs() const { return inputs_.data(); }
  void* outputs() const { return outputs_.data(); }
  // Fills the arena and the inputs with numbers that suit the type; remembered.
  void fill_for(GemmType type);
  DeviceBuffer upload(const std::vector<std::int32_t>& values) const;

 private:
  double replayed(const Graph& graph, bool cold);
  void measure(benchmark::State& state, Work& work);
  void plan(const MeasuredPoint& point, std::function<void(benchmark::State&)> measure_it);
  bool out_of_time() const;
  void keep(MeasuredPoint& point, std::vector<double> samples);

  MicrobenchOptions options_;
  DeviceFacts facts_;
  std::int64_t context_bytes_;
  OwnedStream stream_;
  StreamTimer timer_;
  Gemm gemm_;
  DeviceBuffer arena_, inputs_, outputs_;
  GemmType filled_ = GemmType::kInt8;
  std::chrono::steady_clock::time_point started_;
  std::size_t planned_ = 0, seen_ = 0;
  MicrobenchResult result_;
};

void add_gemms(const MeasurementPlan& plan, BenchDevice& device);
void add_attention(const MeasurementPlan& plan, BenchDevice& device);
void add_streams(const MeasurementPlan& plan, BenchDevice& device);
void add_host_copies(const MeasurementPlan& plan, BenchDevice& device);
void add_overheads(BenchDevice& device);
void add_collectives(const MeasurementPlan& plan, BenchDevice& device);

}  // namespace headroom
