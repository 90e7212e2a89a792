// Hugging Face continuous batching: generate_batch() over PagedAttentionCache (SEMANTICS 1.6).
//
// Candidates in order (fifo: decoding, prompts under way, waiting; prefill-first: prompts under way, decoding,
// waiting) each get up to the rest of the token budget. One that finds no blocks is passed over, not preempted; only
// when nothing at all could be scheduled is one active request reset: its KV is dropped and its output joins its
// prompt. From then on no new request enters until one has ended.
#include <algorithm>

#include "sim/sched/schedulers.h"

namespace headroom {
namespace {

class HfContinuous final : public Scheduler {
 public:
  using Scheduler::Scheduler;

  void plan(StepPlan& plan) override {
    plan.clear();
    do {
      schedule(plan);
    } while (!plan.runs() && batch_.num_running() > 0 && reset_one(plan));
  }

  void complete(const StepPlan& plan, std::int64_t steps, StepOutcome& outcome) override {
    Scheduler::complete(plan, steps, outcome);
    if (!outcome.finished.empty()) block_new_ = false;
  }

  std::int64_t run_limit(const StepPlan& plan) override {
    // The fifo margin looks at the free blocks only for requests that are not decoding, and those only grow fewer.
    return plan.preempted.empty() ? run_limit_keeping(0) : 1;
  }

  // One that is smaller than those which wait may fit where they do not.
  bool arrival_matters() const override { return !block_new_ && batch_.num_running() < options_.max_num_seqs; }

 private:
  void schedule(StepPlan& plan) {
    for (const SequenceId id : plan.set_aside) batch_.rejoin(id);
    plan.set_aside.clear();
    budget_ = options_.max_num_batched_tokens;
    promised_ = 0;
    plan.head_blocked = false;
    const bool prefill_first = options_.continuous_policy == ContinuousPolicy::kPrefillFirst;
    if (prefill_first) continue_prompts(plan);
    decode(plan);
    if (!prefill_first) continue_prompts(plan);
    if (!block_new_) admit_waiting(plan);
  }

  void decode(StepPlan& plan) {
    const std::int64_t need = kv_.units_for_next_step();
    if (need <= kv_.available() && batch_.group().sequences <= budget_) {
      promised_ = need;
    } else {
      for (SequenceId id = batch_.first_running(); id != Batch::kNone; id = batch_.next_running(id)) {
        if (batch_.at(id).state != SequenceState::kDecoding) continue;
        const std::int64_t units = kv_.units_for_next(id);
        if (scheduled_ < budget_ && promised_ + units <= kv_.available()) {
          promised_ += units;
          ++scheduled_;
        } else {
          plan.set_aside.push_back(id);
        }
      }
      for (const SequenceId id : plan.set_aside) batch_.set_aside(id);
      scheduled_ = 0;
    }
    plan.decodes = batch_.group().sequences > 0;
    budget_ -= batch_.group().sequences;
  }

  bool margin_reached(const StepPlan& plan) const {
    if (options_.continuous_policy != ContinuousPolicy::kFifo || !plan.runs()) return false;
    const std::int64_t blocks = kv_.capacity() / kv_.unit_tokens();
    return static_cast<double>(kv_.available() - promised_) < options_.safety_margin * static_cast<double>(blocks);
  }

  void continue_prompts(StepPlan& plan) {
    const std::vector<SequenceId> prompts = batch_.prefilling();
    for (const SequenceId id : prompts) {
      if (budget_ <= 0 || margin_reached(plan)) return;
      const Sequence& s = batch_.at(id);
      const std::int64_t tokens = std::min(s.to_compute - s.computed, budget_);
      const std::int64_t upto = slots_for(s.computed + tokens);
      if (promised_ + kv_.units_to_extend(id, upto) > kv_.available()) {
        if (kv_.available() - promised_ <= 0) return;
        continue;
      }
      kv_.extend(id, upto);
      schedule_prefill(id, tokens, plan);
      budget_ -= tokens;
    }
  }

  void admit_waiting(StepPlan& plan) {
    for (auto it = batch_.waiting.begin(); it != batch_.waiting.end();) {
      if (budget_ <= 0 || batch_.num_running() >= options_.max_num_seqs) return;
      if (margin_reached(plan)) {
        plan.head_blocked = true;
        return;
      }
      const WaitingRequest w = *it;
      const KvDemand demand = batch_.demand_of(w);
      const std::int64_t hit = kv_.cached_prefix(demand);
      const std::int64_t tokens = std::min(demand.prompt_tokens - hit, budget_);
      const std::int64_t upto = slots_for(hit + tokens);
      if (!kv_.can_open(demand, hit, upto, promised_)) {
        plan.head_blocked = true;
        if (kv_.available() - promised_ <= 0) return;
        ++it;  // a smaller one behind it may fit
        continue;
      }
      it = batch_.waiting.erase(it);
      const SequenceId id = batch_.admit(w, demand, hit, upto);
      plan.admitted.push_back(id);
      schedule_prefill(id, tokens, plan);
      budget_ -= tokens;
    }
  }

  // 2025: need = (len - occupied + 1) // b + 1 blocks, one more than the tokens when they end at or just before a
  // block's edge. The spare block is used by the decodes that follow.
  std::int64_t slots_for(std::int64_t tokens) const {
    if (options_.continuous_rules == ContinuousRules::k2026) return tokens;
    const std::int64_t b = kv_.unit_tokens();
    return std::min(((tokens + 1) / b + 1) * b, kv_.capacity());
  }

  // Oldest active first; once new requests are blocked, the newest.
  bool reset_one(StepPlan& plan) {
    for (const SequenceId id : plan.set_aside) batch_.rejoin(id);
    plan.set_aside.clear();
    preempt(block_new_ ? batch_.last_running() : batch_.first_running(), plan);
    block_new_ = batch_.num_running() > 0;
    return true;
  }

  std::int64_t budget_ = 0;     // tokens the step may still have
  std::int64_t promised_ = 0;   // blocks that the group's step will take
  std::int64_t scheduled_ = 0;  // decodes taken while walking
  bool block_new_ = false;      // a request was reset; nothing new enters until one has ended
};

}  // namespace

std::unique_ptr<Scheduler> make_hf_continuous(const Workload& workload, KvAllocator& kv,
                                              const SchedulerOptions& options, std::int64_t window) {
  return std::make_unique<HfContinuous>(workload, kv, options, window);
}

}  // namespace headroom
