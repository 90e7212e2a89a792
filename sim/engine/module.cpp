#include "sim/engine/module.h"

#include <dlfcn.h>

#include <filesystem>
#include <stdexcept>

namespace headroom {
namespace fs = std::filesystem;

void* symbol_of_module(const char* module, const char* symbol, bool shared) {
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  fs::path file = folder / module;
  if (!fs::exists(file, ignored)) file = folder / ".." / "lib" / "headroom" / module;
  void* const handle = dlopen(file.c_str(), RTLD_NOW | (shared ? RTLD_GLOBAL : RTLD_LOCAL));
  void* const found = handle == nullptr ? nullptr : dlsym(handle, symbol);
  if (found == nullptr) throw std::runtime_error(dlerror());
  return found;
}

}  // namespace headroom
