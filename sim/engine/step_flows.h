// A step whose transfers are on links that others use too: what it moves and what it computes, in order.
//
// Each unit first brings something over the links (swapped blocks, a layer's weights, the parts of an all-reduce), then
// computes. One transfer at a time and one computation, in order; the transfer of unit u may begin when unit
// u - 1 - ahead has computed. With ahead = 0 they alternate, as collectives do and streams without prefetch; with
// ahead = D it is the prefetch of models/zero.h, whose closed form comes out where nobody else is on the links.
#pragma once

#include <cstddef>
#include <vector>

#include "sim/network/network.h"

namespace headroom {

struct FlowUnit {
  const std::vector<Route>* over = nullptr;  // null: moves nothing
  double bytes = 0;                          // by each route
  double latency = 0;                        // before the first byte, beside the routes' own
  double compute = 0;                        // seconds
};

class StepFlows {
 public:
  void begin(double time, std::vector<FlowUnit> units, std::size_t ahead);

  // Whether a transfer is under way or due; then, of which unit and from when on it may move.
  bool moving() const { return next_ < units_.size(); }
  const FlowUnit& unit() const { return units_[next_]; }
  double due() const;
  void arrived(double time);  // that transfer

  // When the last unit has computed. Requires !moving().
  double end() const { return computed_.empty() ? start_ : computed_.back(); }

 private:
  void finish_fetch(double time);
  void pass_by();

  std::vector<FlowUnit> units_;
  std::size_t ahead_ = 0, next_ = 0;
  double start_ = 0, fetched_ = 0;
  std::vector<double> computed_;  // when each unit has, of those whose transfers are done
};

}  // namespace headroom
