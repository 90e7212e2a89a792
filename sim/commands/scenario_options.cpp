#include "sim/commands/scenario_options.h"

#include <unistd.h>

#include <cstdlib>

#include "sim/config/catalogue.h"

namespace headroom {

namespace po = boost::program_options;

void add_scenario_options(po::options_description_easy_init& add) {
  add("set", po::value<Words>()->composing(), "PATH.TO.KEY=VALUE over the scenario; may be repeated");
  add("seed", po::value<std::uint64_t>(), "over the scenario's seed");
}

std::string only_scenario(const Words& operands) {
  if (operands.size() != 1)
    throw po::error("expected one SCENARIO: a file, or a name that 'headroom list scenarios' gives");
  return scenario_file(operands.front());
}

LoadOptions load_options(const Values& values) {
  LoadOptions options;
  if (values.count("set") != 0) options.overrides = values["set"].as<Words>();
  if (values.count("seed") != 0) options.seed = values["seed"].as<std::uint64_t>();
  return options;
}

std::string text_of(const Values& values, const char* name) {
  return values.count(name) != 0 ? values[name].as<std::string>() : std::string();
}

bool colourful() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string_view(value != nullptr ? value : "");
  };
  if (!variable("NO_COLOR").empty()) return false;  // no-color.org: when set and not empty
  return isatty(STDOUT_FILENO) != 0 && variable("TERM") != "dumb";
}

}  // namespace headroom
