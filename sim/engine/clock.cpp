#include "sim/engine/clock.h"

#include "sim/engine/module.h"

namespace headroom {

Clock& simgrid_clock(std::size_t processes) {
  using Make = Clock* (*)(std::size_t);
  static const Make make = [] {
    try {
      return reinterpret_cast<Make>(symbol_of_module(HEADROOM_SIMGRID_MODULE, "headroom_simgrid_clock"));
    } catch (const std::runtime_error& error) {
      throw ClockError(std::string("the clock cannot be loaded: ") + error.what());
    }
  }();
  return *make(processes);
}

}  // namespace headroom
