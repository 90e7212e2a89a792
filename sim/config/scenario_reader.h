// From files to typed scenarios: the scenario, its model, hardware and engine preset, and every check across them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/scenario.h"

namespace headroom {

struct LoadOptions {
  std::vector<std::string> overrides;  // "path.to.key=value", applied in order to the scenario
  std::optional<std::uint64_t> seed;   // over the file's
};

// Throws ConfigError.
ScenarioFile load_scenario(const std::string& file, const LoadOptions& options = {});

// Any of our files, by its keys: a scenario, a model, a hardware profile or an engine preset. Throws ConfigError.
void check_file(const std::string& file);

}  // namespace headroom
