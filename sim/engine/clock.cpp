#include "sim/engine/clock.h"

#include <dlfcn.h>

namespace headroom {

Clock& simgrid_clock(std::size_t processes) {
  using Make = Clock* (*)(std::size_t);
  static const Make make = [] {
    // Found beside the program, or where it was installed, by the program's own run path.
    void* module = dlopen(HEADROOM_SIMGRID_MODULE, RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) throw ClockError(std::string("the clock cannot be loaded: ") + dlerror());
    void* symbol = dlsym(module, "headroom_simgrid_clock");
    if (symbol == nullptr) throw ClockError(std::string("the clock cannot be loaded: ") + dlerror());
    return reinterpret_cast<Make>(symbol);
  }();
  return *make(processes);
}

}  // namespace headroom
