#include <fmt/format.h>

#include <iostream>

#include "sim/commands/command.h"
#include "sim/config/errors.h"
#include "sim/sweep/ranks.h"
#include "sim/version.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

constexpr const Command* kCommands[] = {&kRunCommand,     &kMemoryCommand,   &kSweepCommand,    &kPlanCommand,
                                        &kReportCommand,  &kImportCommand,   &kValidateCommand, &kCalibrateCommand,
                                        &kExecuteCommand, &kNumericsCommand, &kCheckCommand,    &kListCommand,
                                        &kGenerateCommand};

}  // namespace

std::span<const Command* const> commands() {
  return kCommands;
}

const Command* command_named(std::string_view name) {
  for (const Command* command : kCommands)
    if (command->name == name) return command;
  return nullptr;
}

po::options_description options_of(const Command& command) {
  po::options_description options("options");
  options.add_options()("help", "this text");
  command.add_options(options.add_options());
  return options;
}

// Names come from the same table as the parser's.
static std::string unknown_option_text(const po::options_description& known, const std::string& given) {
  std::vector<std::string> names;
  for (const auto& option : known.options()) names.push_back("--" + option->long_name());
  const std::vector<std::string_view> views(names.begin(), names.end());
  return fmt::format("no option '{}'{}", given, suggestion(given, views));
}

int run_command(const Command& command, const Words& words) {
  const po::options_description visible = options_of(command);
  po::options_description all;
  all.add(visible).add_options()("operand", po::value<Words>());
  po::positional_options_description places;
  places.add("operand", command.most_operands);
  Values values;
  try {
    po::store(po::command_line_parser(words)
                  .options(all)
                  .positional(places)
                  .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing)
                  .run(),
              values);
  } catch (const po::unknown_option& error) {
    throw po::error(unknown_option_text(visible, error.get_option_name()));
  }
  if (values.count("help") != 0) {
    std::cout << fmt::format("usage: headroom {} {} [options]\n{}\n", command.name, command.operands, command.summary)
              << visible;
    return 0;
  }
  po::notify(values);
  return command.run(values, values.count("operand") != 0 ? values["operand"].as<Words>() : Words{});
}

std::string usage_text() {
  std::string text = "usage: headroom COMMAND ...\n\n";
  for (const Command* command : kCommands)
    text += fmt::format("  {:<36}{}\n", fmt::format("{} {}", command->name, command->operands), command->summary);
  return text + R"(
  headroom COMMAND --help   the options of a command
  headroom --version        the version, and what this build leaves out
)";
}

std::string version_text() {
  std::string without;
#ifndef HEADROOM_CUDA
  without += "built without: CUDA (calibrate, execute)";
#endif
  if (!Ranks::built_with_mpi())
    without += std::string(without.empty() ? "built without:" : ",") + " MPI (sweeps over several hosts)";
  return fmt::format("headroom {}\n{}{}", kVersion, without, without.empty() ? "" : "\n");
}

}  // namespace headroom
