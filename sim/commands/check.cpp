// headroom check: parse and validate files, nothing else.
#include <iostream>

#include "sim/commands/scenario_options.h"
#include "sim/config/catalogue.h"
#include "sim/config/scenario_reader.h"
#include "sim/workload/trace_reader.h"
#include "validate/compare/measured.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init add) {
  add_scenario_options(add);
}

// Any file of ours, by its keys; a measured file with the data it names.
void check(const std::string& file, const LoadOptions& options) {
  if (!load_yaml(file).map().has("measured"))
    check_file(file, options);
  else if (options.overrides.empty() && !options.seed)
    read_measured(file);
  else
    throw ConfigError({file, 0, 0}, "--set and --seed are for scenarios");
}

int run(const Values& values, const Words& operands) {
  if (operands.empty()) throw po::error("expected at least one FILE.yaml");
  const LoadOptions options = load_options(values);
  int code = 0;
  for (const std::string& file : operands) {
    try {
      check(file, options);
      std::cout << file << ": ok\n";
    } catch (const ConfigError& error) {
      std::cerr << error.what() << "\n";
      code = 2;
    } catch (const WorkloadError& error) {
      std::cerr << error.what() << "\n";
      code = 2;
    }
  }
  return code;
}

}  // namespace

const Command kCheckCommand{"check", "FILE.yaml...", "only parse and validate", -1, add_options, run};

}  // namespace headroom
