// headroom memory: the static memory plan of a scenario, without running it.
#include <iostream>

#include "sim/commands/scenario_options.h"
#include "sim/engine/simulation.h"
#include "sim/output/summary_json.h"
#include "sim/output/tables.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

double mean_tokens(const Workload& workload) {
  double tokens = 0;
  for (const Request& r : workload.requests) tokens += static_cast<double>(r.prompt_tokens + r.output_tokens);
  return workload.requests.empty() ? 0 : tokens / static_cast<double>(workload.requests.size());
}

void add_options(po::options_description_easy_init add) {
  add_scenario_options(add);
  add("json", po::bool_switch(), "print JSON instead of the table");
}

int run(const Values& values, const Words& operands) {
  const ScenarioFile file = load_scenario(only_scenario(operands), load_options(values));
  const double tokens = mean_tokens(workload_of(file.variants.front().second));
  const bool json = values["json"].as<bool>();
  std::vector<std::pair<std::string, std::string>> parts;
  for (const auto& [name, scenario] : file.variants) {
    const MemoryPlan& plan = scenario.memory;
    if (json) {
      parts.emplace_back(name, memory_json(scenario, plan, tokens));
    } else {
      if (!name.empty()) std::cout << name << "\n";
      std::cout << memory_table(scenario, plan, tokens, colourful());
    }
  }
  if (json) std::cout << (parts.size() == 1 && parts[0].first.empty() ? parts[0].second : variants_json(parts));
  return 0;
}

}  // namespace

const Command kMemoryCommand{
    "memory", "SCENARIO.yaml", "the static memory plan: where each byte of each GPU goes, and what fits",
    1,        add_options,     run};

}  // namespace headroom
