#include "validate/compare/measured_folder.h"

#include <filesystem>

#include "sim/config/scenario_reader.h"
#include "validate/compare/measured_values.h"

namespace headroom {

namespace fs = std::filesystem;

MeasuredCase read_run_folder(const std::string& folder) {
  const auto inside = [&](const char* name) { return (fs::path(folder) / name).string(); };
  std::error_code ignored;
  for (const char* name : {"scenario.yaml", "summary.json"})
    if (!fs::is_regular_file(inside(name), ignored))
      throw ConfigError({folder, 0, 0}, std::string("no file '") + name +
                                            "' in it; expected measured.yaml, or what execute and run --out write");
  MeasuredCase c;
  const ScenarioFile scenario = load_scenario(inside("scenario.yaml"));
  c.scenario = scenario.variants.front().second;
  c.title = c.scenario.name;
  c.source = folder;
  c.values = in_order(values_of_summary(inside("summary.json")));
  return c;
}

}  // namespace headroom
