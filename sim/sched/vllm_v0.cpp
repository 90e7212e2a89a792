// vLLM V0 (SOSP'23 to v0.7): a step is either whole prompts or decodes, never both (SEMANTICS 2.1.4).
//
// Prompts go first: whenever something waits that fits, the step is a prefill and no decode runs. In a decode step
// each running request in turn must find one free block per sample, whether it needs one or not (the engine's own
// heuristic); otherwise the newest of those behind it gives way: recompute, or swap for requests with several samples.
// Swapped requests come back before anything new is admitted, and never in a step that preempted.
#include <algorithm>

#include "sim/sched/schedulers.h"

namespace headroom {
namespace {

class VllmV0 final : public Scheduler {
 public:
  VllmV0(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options, std::int64_t window)
      : Scheduler(workload, kv, options, window) {
    batch_.samples_together = true;
  }

  void plan(StepPlan& plan) override {
    plan.clear();
    if (batch_.swapped.empty()) admit_waiting(plan);
    if (!plan.prefills.empty()) return;
    decode_running(plan);
    if (plan.preempted.empty()) swap_in(plan);
    plan.decodes = batch_.group().sequences > 0;
  }

  std::int64_t run_limit(const StepPlan& plan) override {
    if (!plan.preempted.empty()) return 1;
    // While a block per sample is left after a step, the next one passes the heuristic for every request.
    return run_limit_keeping(widest_);
  }

 protected:
  std::int64_t prompt_limit() const override {
    return std::min(options_.max_model_len, options_.max_num_batched_tokens);
  }

 private:
  void admit_waiting(StepPlan& plan) {
    std::int64_t batched = 0;
    while (!batch_.waiting.empty()) {
      const WaitingRequest w = batch_.waiting.front();
      const KvDemand demand = batch_.demand_of(w);
      const std::int64_t hit = kv_.cached_prefix(demand);
      const std::int64_t tokens = demand.prompt_tokens - hit;
      // After a recompute the prompt has grown by the output made; what was admitted once is admitted again.
      if (batched > 0 && batched + tokens > options_.max_num_batched_tokens) break;
      if (batch_.num_running() + demand.width > options_.max_num_seqs) break;
      if (!kv_.can_open(demand, hit, demand.prompt_tokens, watermark())) {
        if (batch_.num_running() == 0 && plan.prefills.empty()) {  // the pool is its own: it never will
          plan.rejected.push_back(w.request);
          batch_.waiting.pop_front();
          continue;
        }
        plan.head_blocked = true;
        break;
      }
      batch_.waiting.pop_front();
      const SequenceId id = batch_.admit(w, demand, hit, demand.prompt_tokens);
      plan.admitted.push_back(id);
      schedule_prefill(id, tokens, plan);
      batched += tokens;
      widest_ = std::max(widest_, demand.width);
    }
  }

  void decode_running(StepPlan& plan) {
    if (kv_.available() - kv_.units_for_next_step() >= widest_) return;  // everyone passes
    std::int64_t promised = 0;
    for (SequenceId id = batch_.first_running(); id != Batch::kNone;) {
      const std::int64_t width = batch_.at(id).width;
      while (kv_.available() - promised < width) {
        const SequenceId victim = batch_.last_running();
        give_way(victim, plan);
        if (victim == id) return;
      }
      promised += kv_.units_for_next(id);
      id = batch_.next_running(id);
    }
  }

  void give_way(SequenceId id, StepPlan& plan) {
    const bool swap = options_.preemption == PreemptionMode::kSwap ||
                      (options_.preemption == PreemptionMode::kAuto && batch_.at(id).width > 1);
    if (!swap) return preempt(id, plan);
    if (kv_.can_swap_out(id)) {
      note_preempted(id, plan);
      plan.swapped_blocks += batch_.swap_out(id);
      return;
    }
    // V0 aborts the whole engine here ("not enough CPU blocks"); we end the one request.
    plan.rejected.push_back(batch_.at(id).request);
    batch_.finish(id);
  }

  void swap_in(StepPlan& plan) {
    while (!batch_.swapped.empty()) {
      const SequenceId id = batch_.swapped.front();
      const std::int64_t width = batch_.at(id).width;  // its seats are free: nobody is admitted while it waits
      const std::int64_t promised = kv_.units_for_next_step();
      if (!kv_.can_swap_in(id, watermark() + width + promised)) {
        if (batch_.num_running() > 0) break;
        plan.rejected.push_back(batch_.at(id).request);  // alone, and still no room to grow: it never will
        batch_.drop_swapped();
        continue;
      }
      batch_.swapped.pop_front();
      plan.swapped_blocks += batch_.swap_in(id);
      plan.swapped_in.push_back(id);
    }
  }

  std::int64_t widest_ = 1;  // most samples of any request so far
};

}  // namespace

std::unique_ptr<Scheduler> make_vllm_v0(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options,
                                        std::int64_t window) {
  return std::make_unique<VllmV0>(workload, kv, options, window);
}

}  // namespace headroom
