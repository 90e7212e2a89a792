// The page about a sweep: what came out best and how sure, curves, heat maps, every point, what failed.
#pragma once

#include <string>

#include "sim/output/sweep_results.h"

namespace headroom {

// HTML, the same bytes for the same database content. Throws PlotError where gnuplot is missing.
std::string sweep_report(const SweepResults& sweep);

}  // namespace headroom
