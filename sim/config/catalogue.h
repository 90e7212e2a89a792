// Where the names in a scenario are found: configs/{models,hardware,engines,scenarios} beside the program.
#pragma once

#include <string>
#include <vector>

#include "models/hardware.h"
#include "models/model_shape.h"
#include "sim/config/kernel_tables.h"
#include "sim/config/reader.h"

namespace headroom {

// The configs folder: $HEADROOM_CONFIGS, else the source tree's, else <prefix>/share/headroom/configs.
std::string configs_folder();

// Names (file stems, sorted) under configs/<kind>, kind in {models, hardware, engines, scenarios}; machines are the
// node-*.yaml under configs/hardware, and hardware the others.
std::vector<std::string> catalogue_names(const std::string& kind);
// File of a named entry, or the path itself when `name` ends in .yaml, .yml or .json (relative to the folder of the
// file that names it). Errors are placed at `where`.
std::string catalogue_file(const std::string& kind, const Value& where);
// Where a file that is named inside another may lie: anywhere the user may read or, when $HEADROOM_FILES_UNDER lists
// folders (DIR:DIR:...), below one of them or below the configs folder, links followed. What the user types (--set) is
// not asked about. Fails at `where`.
void must_be_allowed(const Value& where, const std::string& file);

// How `file` is named in a text that is kept elsewhere: an entry or trace of configs/<kind> by its name, any other file
// by its absolute path (`whole`) or by its last part, which is the same on every machine.
std::string lasting_name(const std::string& kind, const std::string& file, bool whole);

// The file a command is given: a path, or the name of an entry of configs/scenarios when there is no such file.
// Throws ConfigError if it is neither.
std::string scenario_file(const std::string& word);

// One line about an entry, for lists: parameters of a model, memory of a card, what an engine or a scenario is.
std::string summary_of_entry(const std::string& kind, const std::string& name);

// Our YAML or Hugging Face's config.json, by its keys (SEMANTICS 6.1 lists the families).
ModelShape read_model(const std::string& file);
// A profile (DESIGN 3.4) with all its tables; and one without them, with where they are.
HardwareProfile read_hardware(const std::string& file);
struct HardwareFile {
  HardwareProfile profile;
  std::vector<TableFile> tables;
};
HardwareFile read_hardware_file(const std::string& file);
NodeProfile read_node(const std::string& file);

}  // namespace headroom
