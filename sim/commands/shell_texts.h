// The manual page and the shells' completions, made from the table of commands and their options.
#pragma once

#include <string>

namespace headroom {

std::string manual_page();  // man(7) macros, section 1
std::string bash_completion();
std::string zsh_completion();

}  // namespace headroom
