// What vLLM's engine flags mean to a scenario, in one table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headroom {

enum class FlagEffect {
  kModelled,      // becomes a key of the scenario
  kNotSimulated,  // changes what a run does, and is not simulated: worth a warning
  kNoBearing,     // ports, names, logs: changes nothing that is simulated
};

struct VllmFlag {
  std::string_view name;   // "max-model-len": no dashes in front, words joined by them
  std::string_view brief;  // "-tp"; empty: none
  FlagEffect effect;
  std::string_view key;  // kModelled: of the scenario; empty where import.cpp has a rule of its own
  bool takes_value = true;
};

std::span<const VllmFlag> vllm_flags();
// Null: unknown. Underscores are as good as dashes; `word` without leading dashes.
const VllmFlag* vllm_flag(std::string_view word);

// One flag as given: "max-model-len", "8192". `name` is the table's where it has one. A switch has "true" or "false".
using VllmSetting = std::pair<std::string, std::string>;

struct VllmCommand {
  std::string version;  // of a container image's tag or of the environment; empty: unknown
  bool v0 = false;      // VLLM_USE_V1=0
  std::vector<VllmSetting> settings;
};
// From the words of a command line, `vllm serve ...`, `python -m vllm.entrypoints...` or `docker run ... vllm/...`.
// Throws boost::program_options::error when it starts no vLLM server.
VllmCommand parse_vllm_command(const std::vector<std::string>& words);
// As a shell splits a line, without its expansions. Throws boost::program_options::error where quotes do not close.
std::vector<std::string> split_command(std::string_view line);

}  // namespace headroom
