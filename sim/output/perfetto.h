// A Chrome trace (Trace Event Format, JSON), which ui.perfetto.dev and chrome://tracing open.
//
// One process a replica: its steps on one track (a run of equal decode steps is one slice), counters of the KV cache by
// state and of the queues. Each request is an asynchronous slice from arrival to end, with its waiting, prefill and
// decode inside. Timestamps in microseconds of simulated time.
#pragma once

#include <string>

#include "sim/config/scenario.h"
#include "sim/metrics/run_result.h"

namespace headroom {

void write_perfetto(const std::string& path, const Scenario& scenario, const RunResult& run);

}  // namespace headroom
