// The page about recorded runs: what happened and how sure, side by side, memory, latency, time, sources, scenario.
#pragma once

#include <span>
#include <string>

#include "sim/output/run_reader.h"

namespace headroom {

// HTML, the same bytes for the same runs. At least one run. Throws PlotError where gnuplot is missing.
std::string run_report(std::span<const RecordedRun> runs);

}  // namespace headroom
