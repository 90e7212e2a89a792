// From files to typed scenarios: the scenario, its model, hardware and engine preset, and every check across them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/reader.h"
#include "sim/config/scenario.h"

namespace headroom {

struct LoadOptions {
  std::vector<std::string> overrides;  // "path.to.key=value", applied in order to the scenario
  std::optional<std::uint64_t> seed;   // over the file's
  std::vector<Value> layers;           // parts of a scenario that lie over it and below the overrides, first one wins
};

// Throws ConfigError.
ScenarioFile load_scenario(const std::string& file, const LoadOptions& options = {});
// A scenario that stands inside another file.
ScenarioFile load_scenario(const Value& scenario, const LoadOptions& options = {});

// Any of our files, by its keys: a scenario, a model, a hardware profile or an engine preset. Throws ConfigError.
void check_file(const std::string& file);

}  // namespace headroom
