// Draws lengths in tokens from a LengthDistribution.
#pragma once

#include <cstdint>

#include "sim/workload/random.h"
#include "sim/workload/workload.h"

namespace headroom {

// One length. Continuous laws are rounded to the nearest integer; what falls outside [min, max] is drawn again, and
// after 1000 misses the nearer bound is taken (a law that lies almost entirely outside its bounds).
std::int64_t draw_length(const LengthDistribution& law, Random& random);

}  // namespace headroom
