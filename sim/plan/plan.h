// How much load a scenario carries within its SLO, and what is cheapest for a load: a search over rates, seeds and
// candidates, each trial a simulation in a worker process.
#pragma once

#include <string>
#include <vector>

#include "sim/config/sweep_reader.h"
#include "sim/output/plan_report.h"

namespace headroom {

struct PlanOptions {
  LoadOptions load;
  std::vector<Axis> over;     // candidates: every combination, times the scenario's variants
  bool all_that_can = false;  // leave out what cannot be used; otherwise a setting that is good for nothing is an error
  double percentile = 99;     // of requests that must meet every bound
  double confidence = 95;     // that they do, percent, one-sided
  double rate = 0;            // requests per second to plan for; 0: the highest there is
  bool fewest_gpus = false;   // for a rate: instead of least money
  std::string latency;        // "ttft", "tpot" or "e2el": a front of throughput against it; empty: none
  std::int64_t requests = 0;  // of one run; 0: as many as the rate and the bounds call for
  int jobs = 1;
  bool quiet = false;
};

// Throws ConfigError, WorkloadError.
PlanReport make_plan(const std::string& scenario_file, const PlanOptions& options, Shelf& shelf);

}  // namespace headroom
