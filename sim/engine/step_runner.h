// Who carries out a replica's plans when that is not the cost model: a GPU, or a record of one.
//
// The replica plans, hands the plan over, and goes on with the time it took; so the scheduler, the allocator and every
// ledger are the simulator's own. Steps come one at a time, each planned after the last has ended.
#pragma once

#include "models/step_time.h"
#include "sim/memory/kv_allocator.h"
#include "sim/sched/scheduler.h"

namespace headroom {

class StepRunner {
 public:
  virtual ~StepRunner() = default;
  // Does what `plan` says, once, not before `start` (seconds since the run began). `total` of the result is how long
  // after `start` it had ended.
  virtual StepTime run(const Scheduler& scheduler, const KvAllocator& kv, const StepPlan& plan, const StepShape& shape,
                       double start) = 0;
  // The allocator has taken the step's slots: a runner with blocks of its own can compare.
  virtual void booked(const KvAllocator&) {}
};

}  // namespace headroom
