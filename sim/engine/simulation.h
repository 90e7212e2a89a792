// A whole run: client, router and replicas, on one simulated clock where they need one.
#pragma once

#include <cstdint>
#include <functional>

#include "sim/config/scenario.h"
#include "sim/engine/step_runner.h"
#include "sim/metrics/run_result.h"

namespace headroom {

struct SimulationOptions {
  bool step_by_step = false;     // simulate every step on its own; same results, slower
  bool full_timeline = false;    // one timeline row per change
  bool always_on_clock = false;  // take SimGrid's clock even if nobody needs it; same results, slower
  bool trace = false;            // keep every step for the Perfetto trace
  StepRunner* runner = nullptr;  // carries out the steps of one replica in place of the cost model
  std::function<void(std::size_t done, std::size_t total)> progress;  // requests sent; called now and then
};

// The scenario's requests, as run() will send them.
Workload workload_of(const Scenario& scenario);

// SimGrid has one engine per process: may be called several times, one after the other, from one thread.
RunResult simulate(const Scenario& scenario, const Workload& workload, const SimulationOptions& options = {});

}  // namespace headroom
