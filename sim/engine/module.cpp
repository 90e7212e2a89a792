#include "sim/engine/module.h"

#include <dlfcn.h>

#include <stdexcept>

namespace headroom {

void* symbol_of_module(const char* module, const char* symbol) {
  // Open MPI's own plug-ins look for the symbols of libmpi among the global ones.
  void* const handle = dlopen(module, RTLD_NOW | RTLD_GLOBAL);
  void* const found = handle == nullptr ? nullptr : dlsym(handle, symbol);
  if (found == nullptr) throw std::runtime_error(dlerror());
  return found;
}

}  // namespace headroom
