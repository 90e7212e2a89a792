// Sarathi-Serve: decodes first, then what is left of a fixed chunk for prompts (SEMANTICS 4.1).
//
//   1. Decodes, oldest first. One that finds no free block makes the newest running request give way (recompute).
//   2. Prompts under way continue within the rest of the chunk; their memory is already held.
//   3. Waiting requests are admitted while their whole prompt (and a watermark) fits; the prompt's blocks are all
//      allocated at once, computed chunk by chunk. A step that preempted may still admit.
#include <algorithm>

#include "sim/sched/schedulers.h"

namespace headroom {
namespace {

class Sarathi final : public Scheduler {
 public:
  using Scheduler::Scheduler;

  void plan(StepPlan& plan) override {
    plan.clear();
    decode_running(plan);
    std::int64_t used = batch_.group().sequences;
    plan.decodes = used > 0;
    for (const SequenceId id : batch_.prefilling()) {
      const Sequence& s = batch_.at(id);
      const std::int64_t tokens = std::min(s.to_compute - s.computed, options_.chunk_size - used);
      if (tokens <= 0) continue;
      schedule_prefill(id, tokens, plan);
      used += tokens;
    }
    admit_waiting(used, plan);
  }

  std::int64_t run_limit(const StepPlan& plan) override { return plan.preempted.empty() ? run_limit_keeping(1) : 1; }

 private:
  void decode_running(StepPlan& plan) {
    if (kv_.available() - kv_.units_for_next_step() >= 1) return;  // no request finds the pool empty
    std::int64_t promised = 0;
    for (SequenceId id = batch_.first_running(); id != Batch::kNone;) {
      if (batch_.at(id).state == SequenceState::kDecoding) {
        while (kv_.available() - promised <= 0) {
          const SequenceId victim = batch_.last_running();
          preempt(victim, plan);
          if (victim == id) return;
        }
        promised += kv_.units_for_next(id);
      }
      id = batch_.next_running(id);
    }
  }

  void admit_waiting(std::int64_t used, StepPlan& plan) {
    while (!batch_.waiting.empty() && batch_.num_running() < options_.max_num_seqs) {
      const WaitingRequest w = batch_.waiting.front();
      const KvDemand demand = batch_.demand_of(w);
      const std::int64_t tokens = std::min(demand.prompt_tokens, options_.chunk_size - used);
      const std::int64_t keep = watermark() + kv_.units_for_next_step();
      if (!kv_.can_open(demand, 0, demand.prompt_tokens, keep)) {
        if (batch_.num_running() == 0) {  // the pool is its own: it never will
          plan.rejected.push_back(w.request);
          batch_.waiting.pop_front();
          continue;
        }
        plan.head_blocked = true;
        break;
      }
      if (tokens <= 0) break;
      batch_.waiting.pop_front();
      const SequenceId id = batch_.admit(w, demand, 0, demand.prompt_tokens);
      plan.admitted.push_back(id);
      schedule_prefill(id, tokens, plan);
      used += tokens;
    }
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_sarathi(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options,
                                        std::int64_t window) {
  return std::make_unique<Sarathi>(workload, kv, options, window);
}

}  // namespace headroom
