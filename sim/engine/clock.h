// The simulated clock, as the engine sees it: processes that wait for a moment, or for each other.
//
// The clock is SimGrid's. It is loaded when a run first needs it, because a run in which nobody reacts to anybody needs
// no common clock (simulation.cpp says when), and Debian's libsimgrid alone takes 20 ms to load.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

namespace headroom {

class Clock {
 public:
  using ProcessId = std::size_t;
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  virtual ~Clock() = default;

  // Adds a process that starts at time 0, on a host of its own as long as there are any; ids count from 0 in order of
  // adding. `body` must not throw. Requires that run() has not been called.
  virtual ProcessId add(const std::string& name, std::function<void()> body) = 0;
  // Lets time pass until every process has ended; once per clock.
  virtual void run() = 0;

  // --- from within a process ---
  virtual double now() const = 0;  // seconds since run() began
  // Returns at `time`, or at once if that is past, or when somebody wakes this process.
  virtual void wait_until(double time) = 0;
  // Ends the wait of `process`, if it is waiting.
  virtual void wake(ProcessId process) = 0;
};

struct ClockError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A new SimGrid clock with up to `processes` hosts; one at a time. Valid until the next call. Throws ClockError when
// SimGrid's module cannot be loaded.
Clock& simgrid_clock(std::size_t processes);

}  // namespace headroom
