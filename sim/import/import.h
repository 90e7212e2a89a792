// A running server becomes a scenario: vLLM's flags or its start-up log in, YAML out, with what it could not say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/import/vllm_log.h"

namespace headroom {

struct ImportOptions {
  std::string model;     // over the server's: a name under configs/models or a config.json; empty: the server's
  std::string hardware;  // a name under configs/hardware; empty: from the log, else assumed
  std::string version;   // of vLLM; empty: from the log or the image, else the newest known
};

struct Imported {
  std::string scenario;               // YAML; loads as it stands
  std::vector<std::string> warnings;  // what would matter and is not in it
  std::string comparison;             // the log's KV cache beside the predicted one; empty: the log has none
};

// `source`: what the scenario says it was made from. Throws ConfigError when no scenario can be made of it.
Imported import_vllm(const VllmLog& log, const std::string& source, const ImportOptions& options);

// The catalogue's name for a Hugging Face repository, a path in its cache, or a folder's name: "llama-3.1-8b" for
// "meta-llama/Llama-3.1-8B-Instruct". None: not in the catalogue.
std::optional<std::string> catalogue_model(const std::string& name);
// A whole number as vLLM's flags take it: 4096, 4k = 4000, 4K = 4096, 1.5M, ... None: no number.
std::optional<std::int64_t> human_readable_int(const std::string& text);

}  // namespace headroom
