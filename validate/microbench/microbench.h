// Runs a measurement plan on this GPU, as Google Benchmarks with device time.
//
// Kernels are captured into a CUDA graph, many in a row, and the graph is replayed: what is measured is a kernel among
// others, as in an engine's step. Weights and KV rotate through memory so that the L2 cache holds none of them from the
// last time; what a step's previous kernel would just have written (rows, activations) is left where it is.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "validate/kernels/device.h"
#include "validate/microbench/measured.h"
#include "validate/microbench/plan.h"

namespace headroom {

struct MicrobenchOptions {
  std::int64_t repetitions = 9;  // of one point; a third of it for points of more than 2 ms
  double time_limit_s = 480;     // what is left then is not measured
  std::vector<Family> only;      // empty: every family
  std::function<void(std::string_view family, std::size_t done, std::size_t total)> progress;
};

struct MicrobenchResult {
  std::vector<MeasuredPoint> points;
  std::size_t left_out = 0;        // for lack of time
  std::int64_t context_bytes = 0;  // device memory in use before anything was allocated
};

MicrobenchResult run_measurements(const MeasurementPlan& plan, const MicrobenchOptions& options);

}  // namespace headroom
