// The commands. Each reads its options, calls the part that does the work, and maps what went wrong to an exit code:
// 0 done, 1 an assertion the user asked for does not hold, 2 the input is wrong, 3 the run failed.
#include <fmt/core.h>

#include <boost/program_options.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "sim/commands.h"
#include "sim/config/errors.h"
#include "sim/workload/trace_reader.h"

namespace {

constexpr std::string_view kUsage = R"(usage: headroom COMMAND ...

  run SCENARIO.yaml         simulate it: latency, throughput, and where every byte of the KV cache went
  memory SCENARIO.yaml      the static memory plan: where each byte of each GPU goes, and what fits
  check FILE.yaml...        only parse and validate
  list KIND                 models, hardware, engines, allocators, schedulers or scenarios

  headroom COMMAND --help   the options of a command
  headroom --version        the version, and what this build leaves out
)";

struct Command {
  std::string_view name;
  int (*run)(const std::vector<std::string>& arguments);
};
constexpr Command kCommands[] = {
    {"run", headroom::run_command},
    {"memory", headroom::memory_command},
    {"check", headroom::check_command},
    {"list", headroom::list_command},
};

int dispatch(const std::vector<std::string>& words) {
  if (words.empty()) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  if (words[0] == "--help" || words[0] == "help" || words[0] == "-h") {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (words[0] == "--version") {
    fmt::print("{}", headroom::version_text());
    return 0;
  }
  std::vector<std::string_view> names;
  for (const Command& command : kCommands) {
    if (command.name == words[0]) return command.run({words.begin() + 1, words.end()});
    names.push_back(command.name);
  }
  fmt::print(stderr, "headroom: error: no command '{}'{}\n", words[0], headroom::suggestion(words[0], names));
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return dispatch({argv + 1, argv + argc});
  } catch (const headroom::ConfigError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const headroom::WorkloadError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const boost::program_options::error& error) {
    fmt::print(stderr, "headroom: error: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "headroom: error: {}\n", error.what());
    return 3;
  }
}
