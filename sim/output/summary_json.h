// summary.json and its relatives; the field names are a contract (DESIGN 3.3). Times in seconds, sizes in bytes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/memory_plan.h"
#include "sim/config/scenario.h"
#include "sim/engine/intervals.h"
#include "sim/metrics/run_result.h"
#include "sim/metrics/summary.h"

namespace headroom {

// With `intervals`, prediction.interval holds them by name (sim/engine/measures.h).
std::string summary_json(const Scenario& scenario, const RunResult& run, const Summary& summary,
                         const std::string& version, const Intervals& intervals = {});

// `mean_tokens`: of a request of the workload, prompt and output; 0: unknown.
std::string memory_json(const Scenario& scenario, const MemoryPlan& plan, double mean_tokens);

// One object whose members are the given objects, by name.
std::string variants_json(const std::vector<std::pair<std::string, std::string>>& objects);

// Quoted and escaped.
std::string json_string(const std::string& text);

// How far the numbers of a run can be trusted: measured, fitted, datasheet, or mixed.
std::string_view provenance_of(const RunResult& run, const Summary& summary);

}  // namespace headroom
