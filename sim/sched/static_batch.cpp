// Static batches: Hugging Face generate() behind a server loop, and FasterTransformer (SEMANTICS 1.1, 3.1).
//
// Whenever idle, take up to max_num_seqs waiting requests in order of arrival, pad their prompts on the left to the
// longest, prefill them in one pass, and decode all rows until the slowest has ended. A row that has ended keeps its
// slots, keeps growing and keeps being computed. Nothing arrives in between.
//
// The two differ when memory is short: generate() dies and takes its whole batch with it; FasterTransformer is given
// as many of the earliest requests as its buffers hold.
#include <algorithm>

#include "sim/sched/schedulers.h"

namespace headroom {
namespace {

class StaticBatch final : public Scheduler {
 public:
  StaticBatch(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options, std::int64_t window,
              bool shrink_to_fit)
      : Scheduler(workload, kv, options, window), shrink_to_fit_(shrink_to_fit) {}

  void plan(StepPlan& plan) override {
    plan.clear();
    if (batch_.num_running() > 0 && kv_.steps_within(1, 0) == 0) die(plan);
    if (batch_.num_running() > 0) {
      plan.decodes = true;
      return;
    }
    while (!batch_.waiting.empty() && plan.prefills.empty()) form(plan);
  }

  bool arrival_matters() const override { return false; }

  std::int64_t fixed_context() const override { return options_.static_cache ? row_length_ : 0; }

  void complete(const StepPlan& plan, std::int64_t steps, StepOutcome& outcome) override {
    outcome.clear();
    if (plan.decodes) batch_.advance(steps);
    for (const ScheduledPrefill& prefill : plan.prefills) {
      const Sequence& s = batch_.at(prefill.id);
      outcome.sampled.push_back(SampledPrefill{prefill.id, s.request, s.sample, 1, s.target > 1});
      batch_.join(prefill.id);
    }
    for (SequenceId id = batch_.next_ended(); id != Batch::kNone; id = batch_.next_ended()) {
      outcome.last_tokens.push_back(batch_.at(id).request);
      batch_.retire(id);
    }
    if (batch_.group().live > 0) return;
    while (batch_.num_running() > 0) {
      const SequenceId id = batch_.first_running();
      outcome.finished.push_back(batch_.at(id).request);
      batch_.finish(id);
    }
  }

 protected:
  // A call reserves for its own longest row, not for the model's limit.
  KvDemand demand_alone(const KvDemand& demand) const override {
    KvDemand alone = demand;
    alone.max_tokens = demand.final_tokens;
    return alone;
  }

 private:
  void die(StepPlan& plan) {
    while (batch_.num_running() > 0) {
      const SequenceId id = batch_.first_running();
      plan.out_of_memory.push_back(batch_.at(id).request);
      batch_.finish(id);
    }
  }

  // Takes the next batch from the queue, or what part of it fits.
  void form(StepPlan& plan) {
    auto rows = std::min<std::int64_t>(options_.max_num_seqs, static_cast<std::int64_t>(batch_.waiting.size()));
    while (rows > 0) {
      const std::int64_t opened = open_rows(rows, plan);
      if (opened == rows) {
        batch_.waiting.erase(batch_.waiting.begin(), batch_.waiting.begin() + rows);
        return;
      }
      plan.prefills.clear();
      plan.admitted.clear();
      plan.head_blocked = true;
      if (!shrink_to_fit_) {  // the allocation inside generate() fails: the whole call does
        die_before_start(rows, plan);
        return;
      }
      while (batch_.num_running() > 0) batch_.finish(batch_.first_running());
      rows = opened;
    }
    plan.rejected.push_back(batch_.waiting.front().request);
    batch_.waiting.pop_front();
  }

  // Opens the first `rows` waiting requests as one padded batch; returns how many fit.
  std::int64_t open_rows(std::int64_t rows, StepPlan& plan) {
    std::int64_t longest = 0, most_output = 0;
    for (std::int64_t i = 0; i < rows; ++i) {
      const Request& r = batch_.request_of(batch_.waiting[static_cast<std::size_t>(i)]);
      longest = std::max(longest, r.prompt_tokens);
      most_output = std::max(most_output, r.output_tokens);
    }
    row_length_ = longest + most_output - 1;
    for (std::int64_t i = 0; i < rows; ++i) {
      const WaitingRequest w = batch_.waiting[static_cast<std::size_t>(i)];
      KvDemand demand = batch_.demand_of(w);
      demand.padding = longest - demand.prompt_tokens;
      demand.max_tokens = demand.prompt_tokens + most_output - 1;
      if (!kv_.can_open(demand, 0, demand.prompt_tokens, 0)) return i;
      const SequenceId id = batch_.admit(w, demand, 0, demand.prompt_tokens);
      batch_.schedule_prefill(id, demand.prompt_tokens);
      plan.admitted.push_back(id);
      plan.prefills.push_back(ScheduledPrefill{id, longest, 0, true});
    }
    return rows;
  }

  void die_before_start(std::int64_t rows, StepPlan& plan) {
    while (batch_.num_running() > 0) batch_.finish(batch_.first_running());
    for (std::int64_t i = 0; i < rows; ++i) {
      plan.out_of_memory.push_back(batch_.waiting.front().request);
      batch_.waiting.pop_front();
    }
  }

  bool shrink_to_fit_;
  std::int64_t row_length_ = 0;  // slots of one row when the batch ends
};

}  // namespace

std::unique_ptr<Scheduler> make_hf_generate(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options,
                                            std::int64_t window) {
  return std::make_unique<StaticBatch>(workload, kv, options, window, false);
}

std::unique_ptr<Scheduler> make_fastertransformer(const Workload& workload, KvAllocator& kv,
                                                  const SchedulerOptions& options, std::int64_t window) {
  return std::make_unique<StaticBatch>(workload, kv, options, window, true);
}

}  // namespace headroom
