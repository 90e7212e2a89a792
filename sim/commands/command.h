// What every command of the program is: a name, its options, and a function from parsed options to an exit code.
//
// One file a command, one line in commands.cpp adds it. A command only reads its options and calls the parts that do
// the work; errors of the input are thrown (ConfigError, WorkloadError, boost::program_options::error) and become exit
// code 2 in main.cpp.
#pragma once

#include <boost/program_options.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

using Words = std::vector<std::string>;
using Values = boost::program_options::variables_map;

struct Command {
  std::string_view name;
  std::string_view operands;  // as the usage line names them
  std::string_view summary;
  int most_operands;  // -1: any number
  // Adds the command's options; --help is there already.
  void (*add_options)(boost::program_options::options_description_easy_init add);
  // Exit code. `operands` are the words that belong to no option.
  int (*run)(const Values& values, const Words& operands);
  std::span<const std::string_view> choices = {};  // what the operands can be; empty: files
};

extern const Command kRunCommand, kMemoryCommand, kSweepCommand, kPlanCommand, kReportCommand, kImportCommand,
    kValidateCommand, kNumericsCommand, kCalibrateCommand, kExecuteCommand, kCheckCommand, kListCommand,
    kGenerateCommand;

// Every command, in the order of the usage text.
std::span<const Command* const> commands();
// Null when there is no such command.
const Command* command_named(std::string_view name);

boost::program_options::options_description options_of(const Command& command);
// Parses and runs; --help is answered here.
int run_command(const Command& command, const Words& words);

std::string usage_text();
std::string version_text();

}  // namespace headroom
