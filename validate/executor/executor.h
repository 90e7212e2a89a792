// Runs a scenario on the GPU: the simulator's scheduler, allocator and ledgers, real kernels and the wall clock.
#pragma once

#include <string>
#include <vector>

#include "sim/config/scenario.h"
#include "sim/engine/step_record.h"
#include "sim/metrics/run_result.h"
#include "sim/workload/workload.h"

namespace headroom {

// What the memory plan says and what was allocated and seen, bytes.
struct ExecutedMemory {
  std::int64_t weights = 0, kv_pool = 0, activations = 0;  // allocated
  std::int64_t context = 0;                                // in use before the first allocation, as the driver says
  std::int64_t in_use = 0;                                 // at the end, as the driver says
};

struct ExecutedRun {
  RunResult result;
  std::vector<RecordedStep> steps;
  ExecutedMemory memory;
};

// Empty when the executor can run the scenario, else what it asks for that the executor does not do.
std::string why_not_executed(const Scenario& scenario);

// Throws std::runtime_error when the run has not ended after `time_limit` seconds.
ExecutedRun execute(const Scenario& scenario, const Workload& workload, double time_limit);

}  // namespace headroom
