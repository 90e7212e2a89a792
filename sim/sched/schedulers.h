// The makers behind the table of schedulers; one source file each (static_batch.cpp has two).
#pragma once

#include <memory>

#include "sim/sched/scheduler.h"

namespace headroom {

#define HEADROOM_SCHEDULER(name)                                                                              \
  std::unique_ptr<Scheduler> name(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options, \
                                  std::int64_t window)
HEADROOM_SCHEDULER(make_hf_generate);
HEADROOM_SCHEDULER(make_hf_continuous);
HEADROOM_SCHEDULER(make_fastertransformer);
HEADROOM_SCHEDULER(make_orca);
HEADROOM_SCHEDULER(make_vllm_v0);
HEADROOM_SCHEDULER(make_vllm_v1);
HEADROOM_SCHEDULER(make_sarathi);
#undef HEADROOM_SCHEDULER

}  // namespace headroom
