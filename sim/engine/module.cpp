#include "sim/engine/module.h"

#include <dlfcn.h>

#include <stdexcept>

namespace headroom {

void* symbol_of_module(const char* module, const char* symbol, bool shared) {
  void* const handle = dlopen(module, RTLD_NOW | (shared ? RTLD_GLOBAL : RTLD_LOCAL));
  void* const found = handle == nullptr ? nullptr : dlsym(handle, symbol);
  if (found == nullptr) throw std::runtime_error(dlerror());
  return found;
}

}  // namespace headroom
