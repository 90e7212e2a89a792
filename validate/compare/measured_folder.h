// The folder that `headroom execute` and `headroom run --out` write, taken as a measured run of its own scenario.
#pragma once

#include <string>

#include "validate/compare/measured.h"

namespace headroom {

// Needs scenario.yaml and summary.json: the same scenario and seed draw the same requests again.
MeasuredCase read_run_folder(const std::string& folder);

}  // namespace headroom
