#include "sim/commands/shell_texts.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/commands/command.h"
#include "sim/config/scenario_keys.h"
#include "sim/version.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

struct Option {
  std::string name, text;
  bool takes_value;
};

std::vector<Option> options_in(const Command& command) {
  std::vector<Option> options;
  const po::options_description description = options_of(command);
  for (const auto& option : description.options())
    options.push_back({"--" + option->long_name(), option->description(), option->semantic()->max_tokens() > 0});
  return options;
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const Command* command : commands()) names.emplace_back(command->name);
  return names;
}

// What --set can begin with.
std::vector<std::string> setting_paths() {
  std::vector<std::string> paths;
  for (const ScenarioKey& key : scenario_keys())
    if (key.kinds != std::vector{ValueKind::kMap}) paths.push_back(key.path + "=");
  return paths;
}

// For roff: a backslash and a leading dot or quote have meanings, and a hyphen is no minus.
std::string roff(std::string_view text) {
  std::string out = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

// Within single quotes of a shell.
std::string shell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

// Within the brackets of zsh's _arguments.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return shell(out);
}

constexpr const char* kAfterCommands = R"(.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
it ran, and an assertion that was asked for does not hold
.TP
.B 2
the input is wrong; nothing was written
.TP
.B 3
the run failed
.SH ENVIRONMENT
.TP
.B HEADROOM_CONFIGS
the folder with models, hardware, engines, scenarios and traces, instead of the one beside the program
.TP
.B NO_COLOR
when set and not empty, no colours; without it they are used on terminals only
.SH EXAMPLES
.nf
headroom run chat.yaml \-\-set engine.max_num_seqs=64 \-\-out results
headroom report results \-\-out report.html
headroom import 'vllm serve meta\-llama/Llama\-3.1\-8B \-\-max\-model\-len 8192' \-\-hardware a10g > scenario.yaml
.fi
)";

}  // namespace

std::string manual_page() {
  std::string out = fmt::format(".TH HEADROOM 1 \"\" \"headroom {}\" \"User Commands\"\n", kVersion);
  out +=
      ".SH NAME\nheadroom \\- simulate LLM inference: the memory that serving needs, the scheduling that shares it\n";
  out += ".SH SYNOPSIS\n.B headroom\n.I COMMAND\n[\\fIoptions\\fR] \\fIoperands\\fR\n";
  out +=
      ".SH DESCRIPTION\nA YAML file names a model, a GPU, an engine and a workload. Headroom says, without a GPU, what "
      "fits, where every "
      "byte of the KV cache goes, what latency users see, and what the answer rests on.\n";
  out += ".SH COMMANDS\n";
  for (const Command* command : commands()) {
    out += fmt::format(".SS {} {}\n{}.\n", command->name, roff(command->operands), roff(command->summary));
    for (const Option& option : options_in(*command))
      if (option.name != "--help")
        out += fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(option.name), option.takes_value ? " \\fIvalue\\fR" : "",
                           roff(option.text));
    if (!command->choices.empty())
      out += fmt::format(".PP\n\\fI{}\\fR is one of: {}.\n", roff(command->operands),
                         roff(fmt::format("{}", fmt::join(command->choices, ", "))));
  }
  return out + kAfterCommands;
}

std::string bash_completion() {
  std::string out = fmt::format(R"(# bash completion for headroom
_headroom() {{
  local cur prev command options values
  COMPREPLY=()
  cur="${{COMP_WORDS[COMP_CWORD]}}"
  prev="${{COMP_WORDS[COMP_CWORD-1]}}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- "$cur")
    return
  fi
  case "$prev" in
    --set)
      compopt -o nospace 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -W '{}' -- "$cur")
      return ;;
  esac
  options= values=
  case "${{COMP_WORDS[1]}}" in
)",
                                fmt::join(command_names(), " "), fmt::join(setting_paths(), " "));
  for (const Command* command : commands()) {
    std::string options;
    for (const Option& option : options_in(*command)) options += (options.empty() ? "" : " ") + option.name;
    out +=
        fmt::format("    {}) options='{}' values='{}' ;;\n", command->name, options, fmt::join(command->choices, " "));
  }
  return out + R"(  esac
  if [[ "$cur" == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  elif [ -n "$values" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  fi
}
complete -F _headroom headroom ./headroom
)";
}

std::string zsh_completion() {
  std::string out = "#compdef headroom\n_headroom() {\n  local -a commands settings\n  commands=(\n";
  for (const Command* command : commands()) out += fmt::format("    '{}:{}'\n", command->name, shell(command->summary));
  out += fmt::format("  )\n  settings=({})\n", fmt::join(setting_paths(), " "));
  out += R"(  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
)";
  for (const Command* command : commands()) {
    out += fmt::format("    {})\n      _arguments", command->name);
    for (const Option& option : options_in(*command)) {
      const char* value = !option.takes_value      ? ""
                          : option.name == "--set" ? ":setting:compadd -S \"\" -a settings"
                                                   : ":value:_files";
      out += fmt::format(" \\\n        '{}{}[{}]{}'", option.name == "--set" ? "*" : "", option.name,
                         zsh_text(option.text), value);
    }
    out += command->choices.empty() ? " \\\n        '*:file:_files' ;;\n"
                                    : fmt::format(" \\\n        '*:what:({})' ;;\n", fmt::join(command->choices, " "));
  }
  return out + "  esac\n}\n_headroom \"$@\"\n";
}

}  // namespace headroom
