// What people read: a run's variants side by side, and the memory plan of one GPU.
#pragma once

#include <span>
#include <string>

#include "models/memory_plan.h"
#include "sim/config/scenario.h"
#include "sim/metrics/run_result.h"
#include "sim/metrics/summary.h"

namespace headroom {

struct VariantResult {
  std::string name;  // empty: the only one
  const Scenario* scenario = nullptr;
  const RunResult* run = nullptr;
  const Summary* summary = nullptr;
};

// First line: what the prediction rests on. Then one column a variant.
std::string run_table(std::span<const VariantResult> variants, bool colour);
// `mean_tokens`: of a request of the workload, prompt and output; 0: unknown.
std::string memory_table(const Scenario& scenario, const MemoryPlan& plan, double mean_tokens, bool colour);

}  // namespace headroom
