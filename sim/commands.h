// One function a command: arguments in, exit code out. Errors of the input are thrown as ConfigError.
#pragma once

#include <string>
#include <vector>

namespace headroom {

using Arguments = std::vector<std::string>;

int run_command(const Arguments& arguments);
int memory_command(const Arguments& arguments);
int check_command(const Arguments& arguments);
int list_command(const Arguments& arguments);
std::string version_text();

}  // namespace headroom
