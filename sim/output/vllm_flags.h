// A scenario's engine as the command line that starts it.
#pragma once

#include <string>

#include "sim/config/scenario.h"

namespace headroom {

// "vllm serve MODEL --flag value ..."; empty when the engine is not vLLM. MODEL is the scenario's name for it.
std::string vllm_serve_line(const Scenario& scenario);

}  // namespace headroom
