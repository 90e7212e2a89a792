// The folder that `headroom execute` and `headroom run --out` write, taken as a measured run of its own scenario.
#pragma once

#include <string>

#include "validate/compare/measured.h"

namespace headroom {

// Needs scenario.yaml and summary.json. Where the workload came by an arrival process, the requests of requests.csv
// arrive again at the times they did: those of the execution's clock, not those that were drawn.
MeasuredCase read_run_folder(const std::string& folder);

}  // namespace headroom
