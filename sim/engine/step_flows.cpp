#include "sim/engine/step_flows.h"

#include <algorithm>
#include <utility>

namespace headroom {

void StepFlows::begin(double time, std::vector<FlowUnit> units, std::size_t ahead) {
  units_ = std::move(units);
  ahead_ = ahead;
  next_ = 0;
  start_ = fetched_ = time;
  computed_.clear();
  pass_by();
}

double StepFlows::due() const {
  return next_ > ahead_ ? std::max(fetched_, computed_[next_ - 1 - ahead_]) : fetched_;
}

void StepFlows::arrived(double time) {
  finish_fetch(time);
  pass_by();
}

void StepFlows::finish_fetch(double time) {
  fetched_ = time;
  computed_.push_back(std::max(time, end()) + units_[next_].compute);
  ++next_;
}

// Units that move nothing.
void StepFlows::pass_by() {
  while (moving() && unit().over == nullptr) finish_fetch(due());
}

}  // namespace headroom
