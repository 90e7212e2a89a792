// JSON Schema of scenario files (draft 7), so that editors complete and check them.
#pragma once

#include <span>
#include <string>

#include "sim/config/scenario_keys.h"

namespace headroom {

// What a schema cannot say (sums, limits of a model, keys without effect) is left to `headroom check`.
std::string scenario_schema(std::span<const ScenarioKey> keys);

}  // namespace headroom
