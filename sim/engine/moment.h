// When two things happen at the same time.
//
// Sums of step times differ in their last bits with the order of summation, so replicas in lockstep, or an arrival at
// the very end of a step, would be in an order that rounding decides. Moments of the same nanosecond are simultaneous.
#pragma once

#include <cmath>

namespace headroom {

// Nanoseconds since the start; infinity stays infinity.
inline double moment_of(double seconds) {
  return std::floor(seconds * 1e9 + 0.5);
}

}  // namespace headroom
