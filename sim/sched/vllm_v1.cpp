// vLLM V1 (0.8 and later): no phases; a step gives each running request what it lacks, then admits (SEMANTICS 2.2.3).
//
//   1. Running, in order of admission: each gets its missing tokens within the token budget. One that cannot have its
//      blocks makes the newest running request give up all of its own (recompute), itself in the end.
//   2. Waiting, only if nothing was preempted: first come first served, a prompt in chunks if need be. One that does
//      not fit blocks those behind it; nobody is preempted for it.
//
// Decodes are handled as a group when every member can have its token; only a step that runs out of blocks walks them
// one by one. Without a long-prefill threshold a prompt in chunks is always the last of the running list: its chunk
// took the whole rest of the budget when it was admitted, and takes it again in each step until it is complete.
//
// Asynchronous scheduling (2.2.6) plans a step as soon as the one before it has started: what arrives while a step runs
// joins the step after the next. Here the next step is planned when the one before it ends, so it leaves out of account
// what arrived since the last plan.
//
// KV computed before can be fetched, from host memory behind the prefix cache or from an instance that computes prompts
// for this one. Such a request takes its blocks, waits outside of the running list while others go on, and is the first
// to be admitted when its KV is there. Nobody can take blocks from it in that time, so it takes all that its first step
// will need at once: then no two of them can wait for each other.
//
// Speculation (2.2.5): drafts differ from row to row, so speculating sequences stay out of the group and are paid for
// one by one.
//
// On a pipeline several batches are in flight, planned from the one running list: a plan leaves out who is in another
// batch. The next chunk of a prompt may follow while the one before it is under way; a decoding sequence has nothing to
// compute until its token is back. Rows are paid for one by one here too. Nobody in flight is preempted: the engine
// would do it, and keep the token that comes back.
#include <algorithm>

#include "sim/sched/schedulers.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

class VllmV1 final : public Scheduler {
 public:
  VllmV1(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options, std::int64_t window)
      : Scheduler(workload, kv, options, window), drafts_(options.seed, "speculation") {}

  void plan(StepPlan& plan) override {
    const bool ahead_of_them = options_.plans_ahead && running_ && batch_.num_running() > 0;
    known_ = ahead_of_them ? std::min(planned_with_, batch_.waiting.size()) : batch_.waiting.size();
    known_ready_ = ahead_of_them ? std::min(planned_with_ready_, batch_.ready.size()) : batch_.ready.size();
    held_ = batch_.waiting.size() > known_ || batch_.ready.size() > known_ready_;
    decide(plan);
    if (held_ && batch_.num_running() == 0 && plan.preempted.empty() && plan.fetches.empty()) {
      // Only complete rows were left, and gave up their blocks: with no step to come, the turn after is at once.
      known_ = batch_.waiting.size();
      known_ready_ = batch_.ready.size();
      held_ = false;
      decide(plan);
    }
    for (const ScheduledPrefill& prefill : plan.prefills) ++batch_.at(prefill.id).in_flight;
    for (const ScheduledSpeculation& row : plan.speculations) ++batch_.at(row.id).in_flight;
    running_ = plan.runs();
    planned_with_ = batch_.waiting.size();
    planned_with_ready_ = batch_.ready.size();
  }

  bool arrival_matters() const override { return options_.plans_ahead || Scheduler::arrival_matters(); }
  std::int64_t run_limit(const StepPlan& plan) override { return held_ ? 1 : Scheduler::run_limit(plan); }

  void complete(const StepPlan& plan, std::int64_t steps, StepOutcome& outcome) override {
    for (const ScheduledPrefill& prefill : plan.prefills) --batch_.at(prefill.id).in_flight;
    for (const ScheduledSpeculation& row : plan.speculations) --batch_.at(row.id).in_flight;
    Scheduler::complete(plan, steps, outcome);
    for (const ScheduledSpeculation& row : plan.speculations) {
      Sequence& s = batch_.at(row.id);
      const std::int64_t made = std::min(row.accepted + 1, s.target - s.generated);
      s.generated += made;
      s.computed += made;
      kv_.store(row.id, s.computed);
      if (s.generated == s.target) {
        outcome.finished.push_back(s.request);
        batch_.finish(row.id);
      }
    }
  }

 protected:
  std::int64_t slots_it_must_fit(const KvDemand& demand) const override { return ahead(demand.final_tokens); }
  std::int64_t prompt_limit() const override {
    return options_.enable_chunked_prefill ? 0 : options_.max_num_batched_tokens;
  }

  void start_decoding(SequenceId id) override {
    batch_.join(id);
    if (row_by_row()) batch_.set_aside(id);
  }

 private:
  void decide(StepPlan& plan) {
    plan.clear();
    budget_ = options_.max_num_batched_tokens;
    promised_ = 0;
    if (simple()) {
      take_group(plan);
      if (!batch_.prefilling().empty()) extend_prefill(batch_.prefilling().front(), plan);  // there is no other
    } else {
      walk_running(plan);
    }
    if (!plan.preempted.empty()) return;
    kv_.take_for_next_step();
    admit_ready(plan);
    admit_waiting(plan);
  }

  // With the slots that drafts will want.
  std::int64_t ahead(std::int64_t tokens) const {
    return std::min(tokens + options_.speculation.lookahead(), std::max(tokens, options_.max_model_len));
  }

  bool row_by_row() const { return options_.speculation.num_tokens > 0 || options_.batches_in_flight > 1; }
  bool on_its_own(SequenceId id) const { return batch_.at(id).state == SequenceState::kSetAside; }

  // Whether the running list needs no walk: the group can have its tokens, and a chunked prompt comes after it.
  bool simple() const {
    if (row_by_row()) return false;
    if (options_.long_prefill_token_threshold > 0 && !batch_.prefilling().empty()) return false;
    std::int64_t need = kv_.units_for_next_step();
    if (!batch_.prefilling().empty()) {
      const SequenceId id = batch_.prefilling().front();
      const std::int64_t tokens = chunk(id, budget_ - batch_.group().sequences);
      need += kv_.units_to_extend(id, batch_.at(id).computed + tokens);
    }
    return need <= kv_.available() && batch_.group().sequences <= budget_;
  }

  void take_group(StepPlan& plan) {
    plan.decodes = batch_.group().sequences > 0;
    budget_ -= batch_.group().sequences;
  }

  std::int64_t chunk(SequenceId id, std::int64_t budget) const {
    const Sequence& s = batch_.at(id);
    std::int64_t tokens = s.to_compute - s.computed;
    if (options_.long_prefill_token_threshold > 0) tokens = std::min(tokens, options_.long_prefill_token_threshold);
    return std::min(tokens, budget);
  }

  void extend_prefill(SequenceId id, StepPlan& plan) {
    const std::int64_t tokens = chunk(id, budget_);
    if (tokens <= 0) return;
    kv_.extend(id, batch_.at(id).computed + tokens);
    schedule_prefill(id, tokens, plan);
    budget_ -= tokens;
  }

  // Units the coming step of `id` takes with `tokens` more.
  std::int64_t need(SequenceId id, std::int64_t tokens) const {
    const Sequence& s = batch_.at(id);
    if (s.state == SequenceState::kDecoding || s.state == SequenceState::kRetired) return kv_.units_for_next(id);
    return kv_.units_to_extend(id, on_its_own(id) ? ahead(s.computed + tokens) : s.computed + tokens);
  }

  void walk_running(StepPlan& plan) {
    for (SequenceId id = batch_.first_running(); id != Batch::kNone;) {
      const SequenceState state = batch_.at(id).state;
      if (on_its_own(id) && batch_.at(id).in_flight > 0) {
        id = batch_.next_running(id);
        continue;
      }
      std::int64_t tokens = 1;
      if (state == SequenceState::kPrefilling) {
        tokens = chunk(id, budget_);
      } else if (on_its_own(id)) {
        // Nothing is drafted beyond the last token; the engine, which does not know it, wastes those few.
        const std::int64_t left = batch_.at(id).target - batch_.at(id).generated;
        tokens = std::min({1 + draws_drafts(), budget_, left});
      }
      if (tokens > budget_ || tokens <= 0) {
        const SequenceId next = batch_.next_running(id);
        if (state == SequenceState::kDecoding) {
          batch_.set_aside(id);
          plan.set_aside.push_back(id);
        }
        id = next;
        continue;
      }
      if (!make_room(id, tokens, plan)) break;
      const SequenceId next = batch_.next_running(id);
      budget_ -= tokens;
      if (state == SequenceState::kPrefilling) {
        kv_.extend(id, batch_.at(id).computed + tokens);
        schedule_prefill(id, tokens, plan);
      } else if (on_its_own(id)) {
        kv_.extend(id, ahead(batch_.at(id).computed + tokens));
        plan.speculations.push_back({id, tokens - 1, draws_accepted(tokens - 1), batch_.at(id).computed + tokens});
      } else {
        promised_ += kv_.units_for_next(id);
        plan.decodes = true;
      }
      id = next;
    }
  }

  // Preempts from the newest until `id` can have `tokens` more. False: it was itself the last to go, or has to wait for
  // those in flight.
  bool make_room(SequenceId id, std::int64_t tokens, StepPlan& plan) {
    while (promised_ + need(id, tokens) > kv_.available()) {
      SequenceId victim = batch_.last_running();
      while (victim != id && batch_.at(victim).in_flight > 0) victim = batch_.at(victim).previous;
      if (batch_.at(victim).in_flight > 0) return false;
      give_up(victim, plan);
      if (victim == id) return false;
    }
    return true;
  }

  void give_up(SequenceId victim, StepPlan& plan) {
    if (batch_.at(victim).state == SequenceState::kRetired) {  // its output is complete: nothing to recompute
      std::erase(late_, victim);
      batch_.finish(victim);
    } else {
      preempt(victim, plan);
    }
  }

  void admit_ready(StepPlan& plan) {
    for (; known_ready_ > 0 && budget_ > 0 && batch_.num_running() < options_.max_num_seqs; --known_ready_) {
      const Sequence& first = batch_.at(batch_.ready.front());
      if (!options_.enable_chunked_prefill && first.to_compute - first.computed > budget_) break;
      const SequenceId id = batch_.start_ready();
      const Sequence& s = batch_.at(id);
      if (s.state == SequenceState::kPrefilling) {
        const std::int64_t tokens = chunk(id, budget_);
        plan.admitted.push_back(id);
        schedule_prefill(id, tokens, plan);
        budget_ -= tokens;
      } else {
        plan.taken_over.push_back(id);
        plan.decodes = true;
        --budget_;
      }
    }
  }

  // Its blocks are taken and their content has to be brought: false if it has to wait for them. Whoever is fetched
  // from another instance will have a place among the running ones.
  bool fetch(const WaitingRequest& w, const KvDemand& demand, std::int64_t hit, std::int64_t keep, StepPlan& plan) {
    if (w.computed_elsewhere) {
      if (!kv_.can_open(demand, hit, demand.prompt_tokens, keep)) return false;
      // The first output token is there, its KV is not.
      const std::int64_t stored = demand.prompt_tokens - 1;
      const SequenceId id = batch_.admit_fetching(w, demand, hit, stored, demand.prompt_tokens);
      const std::int64_t block = kv_.unit_tokens();
      plan.fetches.push_back({id, w.request, ceil_div(stored, block) - hit / block, hit, false});
      return true;
    }
    const std::int64_t brought = kv_.host_prefix(demand, hit);
    if (!kv_.can_open(demand, hit, demand.prompt_tokens, keep)) return false;
    // The last token of a prompt is computed even if it is there, for its output.
    const std::int64_t stored = std::min(hit + brought, demand.prompt_tokens - 1);
    const SequenceId id = batch_.admit_fetching(w, demand, hit, stored, demand.prompt_tokens);
    kv_.begin_load(id, brought);
    plan.fetches.push_back({id, w.request, brought / kv_.unit_tokens(), hit, true});
    return true;
  }

  void admit_waiting(StepPlan& plan) {
    while (known_ > 0 && budget_ > 0 && batch_.num_running() < options_.max_num_seqs) {
      const WaitingRequest w = batch_.waiting.front();
      if (w.computed_elsewhere && batch_.num_running() + batch_.num_unstarted() >= options_.max_num_seqs) break;
      const KvDemand demand = batch_.demand_of(w);
      const std::int64_t hit = kv_.cached_prefix(demand);
      std::int64_t tokens = demand.prompt_tokens - hit;
      if (options_.long_prefill_token_threshold > 0) tokens = std::min(tokens, options_.long_prefill_token_threshold);
      if (!options_.enable_chunked_prefill && tokens > budget_) break;
      tokens = std::min(tokens, budget_);
      const std::int64_t keep = batch_.num_running() > 0 ? watermark() : 0;
      if (w.computed_elsewhere || kv_.host_prefix(demand, hit) > 0) {
        if (!fetch(w, demand, hit, keep, plan)) {
          plan.head_blocked = true;
          break;
        }
        batch_.waiting.pop_front();
        --known_;
        continue;
      }
      // The full-prompt gate is a test only; nothing is reserved for the later chunks.
      const std::int64_t gate = options_.reserve_full_prompt ? demand.prompt_tokens : hit + tokens;
      if (!kv_.can_open(demand, hit, gate, keep)) {
        plan.head_blocked = true;
        break;
      }
      batch_.waiting.pop_front();
      const SequenceId id = batch_.admit(w, demand, hit, hit + tokens);
      plan.admitted.push_back(id);
      schedule_prefill(id, tokens, plan);
      budget_ -= tokens;
      --known_;
    }
  }

  std::int64_t draws_drafts() {
    const Speculation& s = options_.speculation;
    return s.found_fraction >= 1 || drafts_.uniform() < s.found_fraction ? s.num_tokens : 0;
  }

  std::int64_t draws_accepted(std::int64_t drafts) {
    std::int64_t accepted = 0;
    while (accepted < drafts && drafts_.uniform() < options_.speculation.acceptance_rate) ++accepted;
    return accepted;
  }

  Random drafts_;
  std::size_t known_ = 0;                                 // waiting requests, from the front, that the plan may admit
  std::size_t planned_with_ = 0;                          // that still waited after the last plan
  std::size_t known_ready_ = 0, planned_with_ready_ = 0;  // likewise those whose KV has been fetched
  bool running_ = false;                                  // the last plan started a step
  bool held_ = false;                                     // somebody waits whom the next plan may admit
  std::int64_t budget_ = 0;                               // tokens the step may still have
  std::int64_t promised_ = 0;                             // units that decodes already walked will take
};

}  // namespace

std::unique_ptr<Scheduler> make_vllm_v1(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options,
                                        std::int64_t window) {
  return std::make_unique<VllmV1>(workload, kv, options, window);
}

}  // namespace headroom
