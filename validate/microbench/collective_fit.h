// The simulator's law of collectives (models/hardware.h) beside measured ones: a latency, and a bandwidth of the bus
// that is the same for all of them. Both are fitted to all-reduces in CUDA graphs, which is what tensor parallelism
// does; the other kinds then show how well one bandwidth serves all.
#pragma once

#include <optional>
#include <span>

#include "models/hardware.h"
#include "validate/microbench/measured.h"

namespace headroom {

bool is_fitted_collective(const MeasuredPoint& point);

// Seconds that the law gives a point of the family; no kind but those of validate/kernels/collective.h.
double collective_seconds(const CollectiveLink& link, const MeasuredPoint& point);

// The link whose times are nearest to those of the fitted points, by squares of log errors. None where they do not say:
// fewer than two points of different times.
std::optional<CollectiveLink> fit_collectives(std::span<const MeasuredPoint> points);

}  // namespace headroom
