// headroom list: what there is to choose from.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "sim/commands/command.h"
#include "sim/config/catalogue.h"
#include "sim/config/errors.h"
#include "sim/memory/kv_allocator.h"
#include "sim/sched/scheduler.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init) {}

int run(const Values&, const Words& operands) {
  if (operands.size() != 1) throw po::error(fmt::format("expected one of {}", fmt::join(kListCommand.choices, ", ")));
  std::vector<std::pair<std::string, std::string>> rows;
  const std::string& kind = operands.front();
  if (kind == "allocators") {
    for (const KvAllocatorEntry& entry : kv_allocators()) rows.emplace_back(entry.name, entry.summary);
  } else if (kind == "schedulers") {
    for (const SchedulerEntry& entry : schedulers()) rows.emplace_back(entry.name, entry.summary);
  } else if (kind == "models" || kind == "hardware" || kind == "engines" || kind == "scenarios") {
    for (const std::string& name : catalogue_names(kind)) rows.emplace_back(name, summary_of_entry(kind, name));
    if (kind == "hardware")
      for (const std::string& name : catalogue_names("machines"))
        rows.emplace_back(name, summary_of_entry("machines", name));
  } else {
    throw po::error(fmt::format("nothing to list called '{}'{}", kind, suggestion(kind, kListCommand.choices)));
  }
  std::size_t width = 0;
  for (const auto& [name, summary] : rows) width = std::max(width, name.size());
  for (const auto& [name, summary] : rows) std::cout << fmt::format("{:<{}}  {}\n", name, width, summary);
  return 0;
}

constexpr std::string_view kChoices[] = {"models", "hardware", "engines", "allocators", "schedulers", "scenarios"};

}  // namespace

const Command kListCommand{
    "list", "KIND", "models, hardware, engines, allocators, schedulers or scenarios", 1, add_options, run, kChoices};

}  // namespace headroom
