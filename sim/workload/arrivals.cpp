#include "sim/workload/arrivals.h"

namespace headroom {
namespace {

// Two states with exponential sojourns, Poisson in each; starts in the on state.
std::vector<double> on_off(const ArrivalProcess& p, std::int64_t count, Random& random) {
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(count));
  bool on = true;
  double now = 0;
  double until = random.exponential(p.on_time.count());
  while (static_cast<std::int64_t>(times.size()) < count) {
    const double rate = on ? p.rate : p.off_rate;
    const double next = rate > 0 ? now + random.exponential(1 / rate) : until;
    if (next < until) {
      times.push_back(now = next);
      continue;
    }
    now = until;  // the memoryless gap starts anew in the other state
    on = !on;
    until = now + random.exponential(on ? p.on_time.count() : p.off_time.count());
  }
  return times;
}

}  // namespace

std::vector<double> arrival_times(const ArrivalProcess& p, std::int64_t count, Random& random) {
  using enum ArrivalProcess::Kind;
  if (p.kind == kOnOff) return on_off(p, count, random);
  std::vector<double> times(static_cast<std::size_t>(count));
  double now = 0;
  for (double& time : times) {
    switch (p.kind) {
      case kPoisson:
        now += random.exponential(1 / p.rate);
        break;
      case kGamma:
        now += random.gamma(p.burstiness, 1 / (p.rate * p.burstiness));
        break;
      case kConstant:
        now += 1 / p.rate;
        break;
      default:
        break;  // batch: all at zero
    }
    time = now;
  }
  if (p.exact_rate && now > 0) {
    const double scale = static_cast<double>(count) / p.rate / now;
    for (double& time : times) time *= scale;
  }
  return times;
}

}  // namespace headroom
