// The bounds a scenario asks for, as the statistics take them.
#pragma once

#include "sim/config/scenario.h"
#include "sim/metrics/summary.h"

namespace headroom {

inline SloBounds slo_bounds(const Scenario& s) {
  SloBounds bounds;
  if (s.slo.ttft) bounds.ttft = s.slo.ttft->count();
  if (s.slo.tpot) bounds.tpot = s.slo.tpot->count();
  if (s.slo.e2el) bounds.e2el = s.slo.e2el->count();
  return bounds;
}

}  // namespace headroom
