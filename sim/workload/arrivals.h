// Times of arrival of open-loop processes (SEMANTICS 8.1).
#pragma once

#include <cstdint>
#include <vector>

#include "sim/workload/random.h"
#include "sim/workload/workload.h"

namespace headroom {

// `count` times in ascending order, seconds. Poisson, gamma, constant, batch and on-off only.
std::vector<double> arrival_times(const ArrivalProcess& process, std::int64_t count, Random& random);

}  // namespace headroom
