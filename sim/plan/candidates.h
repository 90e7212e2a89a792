// The scenarios a plan chooses from, each checked and ready to be tried.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/config/scenario.h"
#include "sim/plan/plan.h"

namespace headroom {

struct Candidate {
  Scenario scenario;
  std::optional<Workload> recorded;  // to draw requests from
  PlanCandidate report;
  double saturated = 0;    // requests per second when all come at once
  double mean_output = 1;  // tokens of a request
};

// Every combination of the plan's choices, times the scenario's variants. One that cannot be loaded has its problem in
// the report. Throws ConfigError if none can, or if the scenario is none to plan for.
std::vector<Candidate> load_candidates(const std::string& file, const PlanOptions& options, Shelf& shelf);

}  // namespace headroom
