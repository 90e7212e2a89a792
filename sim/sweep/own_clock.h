// Which simulations must not share a process with one before them.
//
// The simulator's clock goes on from run to run in one process. That could show, in the last bits, where somebody waits
// for what happens at a time of the simulation: follow-up requests, routers that look at load. Arrivals that were drawn
// before do not wait.
#pragma once

#include "sim/config/scenario.h"

namespace headroom {

inline bool wants_a_clock_of_its_own(const Scenario& s, const Workload& w) {
  return !w.follow_up.empty() ||
         (s.cluster.router != RouterPolicy::kRoundRobin && s.cluster.router != RouterPolicy::kRandom);
}

}  // namespace headroom
