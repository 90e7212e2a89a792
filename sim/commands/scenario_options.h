// Options that every command about a scenario shares: the file, --set and --seed.
#pragma once

#include "sim/commands/command.h"
#include "sim/config/scenario_reader.h"

namespace headroom {

void add_scenario_options(boost::program_options::options_description_easy_init& add);
// The file of the one operand. Throws boost::program_options::error if there is none or more, ConfigError if there is
// no such scenario.
std::string only_scenario(const Words& operands);
LoadOptions load_options(const Values& values);

std::string text_of(const Values& values, const char* name);  // empty: not given
bool colourful();                                             // stdout is a terminal that wants colours

}  // namespace headroom
