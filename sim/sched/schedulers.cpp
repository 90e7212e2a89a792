#include "sim/sched/schedulers.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace headroom {

void StepPlan::clear() {
  decodes = false;
  prefills.clear();
  speculations.clear();
  set_aside.clear();
  preempted.clear();
  admitted.clear();
  swapped_in.clear();
  fetches.clear();
  taken_over.clear();
  rejected.clear();
  out_of_memory.clear();
  swapped_blocks = 0;
  head_blocked = false;
}

void StepOutcome::clear() {
  sampled.clear();
  finished.clear();
  last_tokens.clear();
  sent.clear();
}

Scheduler::Scheduler(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options, std::int64_t window)
    : options_(options), kv_(kv), batch_(workload, kv, options.max_model_len, window) {
  batch_.prompts_only = options.role == Role::kPrefill;
}

void Scheduler::enqueue_computed(std::uint32_t request) {
  batch_.waiting.push_back(WaitingRequest{request, 1, 0, false, true});
}

bool Scheduler::can_ever_run(std::uint32_t request) const {
  const Request& r = batch_.request_of(WaitingRequest{request});
  KvDemand demand = demand_alone(batch_.demand_of(WaitingRequest{request}));
  if (batch_.prompts_only) demand.final_tokens += r.output_tokens - 1;  // the other instance's pool is like this one
  if (r.prompt_tokens + r.output_tokens > options_.max_model_len) return false;
  if (demand.width > options_.max_num_seqs) return false;
  if (prompt_limit() > 0 && r.prompt_tokens > prompt_limit()) return false;
  return kv_.ever_fits(demand, slots_it_must_fit(demand));
}

bool Scheduler::enqueue(std::uint32_t request) {
  if (!can_ever_run(request)) return false;
  const Request& r = batch_.request_of(WaitingRequest{request});
  const auto samples = static_cast<std::int32_t>(batch_.samples_together ? 1 : r.samples);
  for (std::int32_t sample = 0; sample < samples; ++sample)
    batch_.waiting.push_back(WaitingRequest{request, 0, sample, false, false});
  return true;
}

std::int64_t Scheduler::watermark() const {
  const std::int64_t units = kv_.capacity() / kv_.unit_tokens();
  return static_cast<std::int64_t>(options_.watermark * static_cast<double>(units));
}

std::int64_t Scheduler::run_limit(const StepPlan& plan) {
  // After a preemption the waiting queue has not been looked at; the next step may admit.
  return plan.preempted.empty() ? run_limit_keeping(0) : 1;
}

std::int64_t Scheduler::run_limit_keeping(std::int64_t keep_free) {
  if (options_.step_by_step || !late_.empty() || kv_.block_copies_for_next_step() > 0) return 1;
  const std::int64_t steps = std::min(batch_.steps_to_next_end(), batch_.steps_to_next_cap());
  return std::max<std::int64_t>(1, kv_.steps_within(steps, keep_free));
}

bool Scheduler::arrival_matters() const {
  return batch_.waiting.empty() && batch_.num_running() < options_.max_num_seqs;
}

void Scheduler::note_preempted(SequenceId id, StepPlan& plan) const {
  const Sequence& s = batch_.at(id);
  plan.preempted.push_back(PreemptedSequence{s.request, s.sample, batch_.generated(id), id});
}

void Scheduler::preempt(SequenceId id, StepPlan& plan) {
  note_preempted(id, plan);
  batch_.preempt(id);
}

void Scheduler::schedule_prefill(SequenceId id, std::int64_t tokens, StepPlan& plan) {
  const Sequence& s = batch_.at(id);
  const std::int64_t past = s.computed;
  batch_.schedule_prefill(id, tokens);
  plan.prefills.push_back(ScheduledPrefill{id, tokens, past, s.computed == s.to_compute});
}

void Scheduler::complete(const StepPlan& plan, std::int64_t steps, StepOutcome& outcome) {
  outcome.clear();
  if (plan.decodes) batch_.advance(steps);
  for (const SequenceId id : late_) batch_.finish(id);
  late_.clear();
  ended_.clear();
  if (plan.decodes)
    for (SequenceId id = batch_.next_ended(); id != Batch::kNone; id = batch_.next_ended()) ended_.push_back(id);
  for (const SequenceId id : plan.set_aside) batch_.rejoin(id);
  for (const ScheduledPrefill& prefill : plan.prefills)
    if (prefill.samples) sampled(prefill.id, outcome);
  // Blocks go back in the order in which the requests were admitted, as the engine's own loop over its running list.
  std::sort(ended_.begin(), ended_.end(),
            [this](SequenceId a, SequenceId b) { return batch_.at(a).order < batch_.at(b).order; });
  for (const SequenceId id : ended_) {
    outcome.finished.push_back(batch_.at(id).request);
    if (options_.late_stop) {  // the end is known only when its row is in the next step already
      if (batch_.at(id).state == SequenceState::kPrefilling) batch_.join(id);
      batch_.retire(id);
      late_.push_back(id);
    } else {
      batch_.finish(id);
    }
  }
}

void Scheduler::sampled(SequenceId id, StepOutcome& outcome) {
  const Sequence& s = batch_.at(id);
  const bool ends = s.generated + 1 == s.target;
  const bool goes_on_here = !ends && options_.role != Role::kPrefill;
  outcome.sampled.push_back(SampledPrefill{id, s.request, s.sample, static_cast<std::uint32_t>(s.width), goes_on_here});
  if (ends) {
    ended_.push_back(id);
  } else if (!goes_on_here) {
    outcome.sent.push_back(outcome.sampled.back());
    batch_.send(id);
  } else {
    start_decoding(id);
  }
}

void Scheduler::start_decoding(SequenceId id) {
  batch_.join(id);
}

namespace {

constexpr std::array kSchedulers{
    SchedulerEntry{"hf-generate", "static batch, left padding, runs to the slowest row", make_hf_generate},
    SchedulerEntry{"hf-continuous", "transformers' continuous batching over a paged cache", make_hf_continuous},
    SchedulerEntry{"fastertransformer", "static batch as large as memory allows", make_fastertransformer},
    SchedulerEntry{"orca", "iteration-level, whole prompts, reserves at admission", make_orca},
    SchedulerEntry{"vllm-v0", "prefill-only steps before decode steps, recompute or swap", make_vllm_v0},
    SchedulerEntry{"vllm-v1", "chunked prefills and decodes share a step, recompute", make_vllm_v1},
    SchedulerEntry{"sarathi", "decodes first, prompts in chunks, prompt allocated whole", make_sarathi},
};

}  // namespace

std::span<const SchedulerEntry> schedulers() {
  return kSchedulers;
}

const SchedulerEntry& scheduler_named(std::string_view name) {
  for (const SchedulerEntry& entry : kSchedulers)
    if (entry.name == name) return entry;
  throw std::out_of_range("no scheduler '" + std::string(name) + "'");
}

}  // namespace headroom
