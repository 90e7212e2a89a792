// The result file of vLLM's benchmark client (vllm bench serve --save-result --save-detailed), so that people's own
// plots and gates read a simulated run like a measured one.
//
// Field names of vllm/benchmarks/serve.py 009e6d4. Times in milliseconds where the name says so, else in seconds. Left
// out: itls and generated_texts (a simulation has no text, and keeps gaps pooled), peaks per second.
#pragma once

#include <string>

#include "sim/config/scenario.h"
#include "sim/metrics/run_result.h"
#include "sim/metrics/summary.h"

namespace headroom {

void write_vllm_bench(const std::string& path, const Scenario& scenario, const RunResult& run, const Summary& summary);

}  // namespace headroom
