// headroom validate: simulates what was measured and prints the errors side by side.
#include <fmt/core.h>

#include <cstdio>
#include <iostream>

#include "sim/commands/command.h"
#include "sim/output/progress.h"
#include "validate/compare/comparison_text.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init add) {
  add("json", po::bool_switch(), "print every value and the summary as JSON instead of the tables");
  add("max-error", po::value<Words>()->composing(),
      "METRIC=5%: exit with 1 if a measured value is missed by more; METRIC a name, a family such as ttft_s, or all");
  add("part", po::value<std::string>()->default_value("all"), "all, judge or fit: which of the cases");
}

int run(const Values& values, const Words& operands) {
  if (operands.empty()) throw po::error("expected at least one MEASURED.yaml or folder");
  const std::string part = values["part"].as<std::string>();
  if (part != "all" && part != "judge" && part != "fit") throw po::error("--part: expected all, judge or fit");
  std::vector<ErrorBound> bounds;
  if (values.count("max-error") != 0)
    for (const std::string& text : values["max-error"].as<Words>()) bounds.push_back(parse_bound(text));
  std::vector<MeasuredCase> cases;
  for (const std::string& path : operands)
    for (MeasuredCase& c : read_measured(path))
      if (part == "all" || c.fitted == (part == "fit")) cases.push_back(std::move(c));
  if (cases.empty()) throw po::error("--part: no case of this part in the files");

  std::vector<ComparedCase> compared;
  compared.reserve(cases.size());
  Progress progress("validate", stderr_is_terminal());
  for (const MeasuredCase& c : cases) {
    compared.push_back(compare(c));
    progress.update(compared.size(), cases.size());
  }
  progress.finish();
  const std::vector<Violation> found = violations(compared, bounds);
  std::cout << (values["json"].as<bool>() ? comparison_json(compared) : comparison_table(compared));
  for (const Violation& violation : found) fmt::print(stderr, "headroom: {}\n", violation_text(violation));
  return found.empty() ? 0 : 1;
}

}  // namespace

const Command kValidateCommand{"validate",
                               "(MEASURED.yaml | DIR)...",
                               "simulate what was measured, print the errors side by side",
                               -1,
                               add_options,
                               run};

}  // namespace headroom
