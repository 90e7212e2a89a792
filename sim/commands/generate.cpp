// headroom generate: what installs beside the program and is made from its own tables.
#include <fmt/format.h>

#include <iostream>

#include "sim/commands/command.h"
#include "sim/commands/shell_texts.h"
#include "sim/config/errors.h"
#include "sim/output/scenario_schema.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init) {}

int run(const Values&, const Words& operands) {
  if (operands.size() != 1)
    throw po::error(fmt::format("expected one of {}", fmt::join(kGenerateCommand.choices, ", ")));
  const std::string& what = operands.front();
  if (what == "schema")
    std::cout << scenario_schema(scenario_keys());
  else if (what == "man")
    std::cout << manual_page();
  else if (what == "bash-completion")
    std::cout << bash_completion();
  else if (what == "zsh-completion")
    std::cout << zsh_completion();
  else
    throw po::error(fmt::format("nothing to generate called '{}'{}", what, suggestion(what, kGenerateCommand.choices)));
  return 0;
}

constexpr std::string_view kChoices[] = {"schema", "man", "bash-completion", "zsh-completion"};

}  // namespace

const Command kGenerateCommand{
    "generate", "WHAT",  "the JSON Schema of scenarios, the manual page, or shell completion", 1, add_options,
    run,        kChoices};

}  // namespace headroom
