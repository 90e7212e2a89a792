// headroom import: a vLLM server's command line or start-up log becomes a scenario.
#include "sim/import/import.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "sim/commands/scenario_options.h"
#include "sim/config/errors.h"
#include "sim/workload/text_file.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init add) {
  add("model", po::value<std::string>(), "a name under configs/models or a config.json, instead of the server's model");
  add("hardware", po::value<std::string>(), "the card, a name under configs/hardware");
  add("vllm-version", po::value<std::string>(), "such as 0.8.5, where neither log nor image says it");
}

int run(const Values& values, const Words& operands) {
  if (operands.empty()) throw po::error("expected 'vllm serve ...', in quotes or after --, or a LOGFILE");
  std::error_code ignored;
  const std::string& first = operands.front();
  const bool is_command = operands.size() > 1 || first.find(' ') != std::string::npos;
  VllmLog log;
  if (is_command && !std::filesystem::exists(first, ignored)) {
    log.command = parse_vllm_command(operands.size() > 1 ? operands : split_command(first));
  } else {
    log = parse_vllm_log(read_text(first));
    if (!log.is_start_up && log.command.settings.empty())
      throw ConfigError({first, 0, 0},
                        "no line of vLLM's start-up is in it; expected 'Initializing ... LLM engine' or its arguments");
  }
  const Imported imported =
      import_vllm(log, is_command ? "a command line" : fmt::format("the log {}", first),
                  {text_of(values, "model"), text_of(values, "hardware"), text_of(values, "vllm-version")});
  for (const std::string& warning : imported.warnings) fmt::print(stderr, "headroom: warning: {}\n", warning);
  if (!imported.comparison.empty()) fmt::print(stderr, "headroom: {}\n", imported.comparison);
  std::cout << imported.scenario;
  return 0;
}

}  // namespace

const Command kImportCommand{
    "import", "('vllm serve ...' | LOGFILE)", "a running vLLM server becomes a scenario, on stdout", -1, add_options,
    run};

}  // namespace headroom
