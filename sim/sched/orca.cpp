// Orca: iteration-level scheduling with everything reserved at admission (SEMANTICS 3.2).
//
// After each iteration finished requests leave and waiting ones enter, first come first served, whole prompts beside
// the decodes of the others. The KV of the whole request is reserved when it enters, so nothing is ever preempted.
// How much is reserved is the allocator's axis: contiguous-max, contiguous-pow2, contiguous-exact (the PagedAttention
// paper's Orca Max, Pow2 and Oracle), or paged with blocks for max_model_len.
#include <algorithm>

#include "sim/sched/schedulers.h"

namespace headroom {
namespace {

class Orca final : public Scheduler {
 public:
  using Scheduler::Scheduler;

  void plan(StepPlan& plan) override {
    plan.clear();
    plan.decodes = batch_.group().sequences > 0;
    std::int64_t budget = options_.max_num_batched_tokens - batch_.group().sequences;
    while (!batch_.waiting.empty() && batch_.num_running() < options_.max_num_seqs) {
      const WaitingRequest w = batch_.waiting.front();
      const KvDemand demand = batch_.demand_of(w);
      if (demand.prompt_tokens > budget) break;
      if (!kv_.can_open(demand, 0, demand.max_tokens, 0)) {
        plan.head_blocked = true;
        break;
      }
      batch_.waiting.pop_front();
      const SequenceId id = batch_.admit(w, demand, 0, demand.max_tokens);
      plan.admitted.push_back(id);
      schedule_prefill(id, demand.prompt_tokens, plan);
      budget -= demand.prompt_tokens;
    }
  }

 protected:
  std::int64_t slots_it_must_fit(const KvDemand& demand) const override { return demand.max_tokens; }
  std::int64_t prompt_limit() const override {
    return std::min(options_.max_model_len, options_.max_num_batched_tokens);
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_orca(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options,
                                     std::int64_t window) {
  return std::make_unique<Orca>(workload, kv, options, window);
}

}  // namespace headroom
