#include "sim/engine/replica.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "sim/config/scenario_derive.h"
#include "sim/engine/moment.h"

namespace headroom {
namespace {

// Standard deviation of the rows' contexts, in tokens.
double spread_of(const DecodeGroup& group) {
  const auto n = static_cast<double>(group.sequences), sum = static_cast<double>(group.context);
  return std::sqrt(std::max(0.0, n * group.squares - sum * sum)) / n;
}

}  // namespace

Replica::Replica(std::uint32_t index, const Scenario& scenario, const Workload& workload, const StepTimeModel& cost,
                 KvAllocator& kv, ReplicaSinks sinks, Role role)
    : index_(index),
      workload_(&workload),
      cost_(&cost),
      kv_(&kv),
      sinks_(sinks),
      logits_for_all_(scenario.engine.logits_for_all_tokens),
      growing_cache_(scenario.engine.kv_allocator == "dynamic"),
      spread_counts_(cost.depends_on_spread()),
      row_by_row_(scenario.engine.scheduler.speculation.num_tokens > 0 || sinks.batches != nullptr),
      prompts_only_(role == Role::kPrefill),
      ranks_(scenario.cluster.tensor_parallel_size),
      block_bytes_(static_cast<double>(scenario.memory.kv_per_token.count() * scenario.engine.block_size)),
      host_copy_(host_copy(scenario)) {
  SchedulerOptions options = scenario.engine.scheduler;
  options.role = role;
  window_ = scenario.model.sliding_window ? scenario.model.sliding_window->tokens : 0;
  if (sinks_.batches != nullptr) sinks_.batches->batches.push_back(this);
  scheduler_ =
      &books() == this ? scheduler_named(options.scheduler).make(workload, kv, options, window_) : books().scheduler_;
}

double Replica::UnderWay::end(std::int64_t steps) const {
  const auto n = static_cast<double>(steps);
  return start + (n * run.first.count() + n * (n - 1) / 2 * run.slope.count());
}

double Replica::next_event() const {
  switch (state_) {
    case State::kIdle:
      return loads_.empty() ? kNever : loads_.front().end;
    case State::kDue:
      return now_;
    case State::kRunning:
      return step_.end(step_.run.steps);
    case State::kOnLinks:
      return kNever;
  }
  return kNever;
}

void Replica::submit(std::uint32_t request, double time) {
  ++outstanding_;
  const bool matters = scheduler_->arrival_matters();
  if (!scheduler_->enqueue(request)) return leave(request, RequestStatus::kRejected, time);
  if (workload_->requests[request].samples > 1 && !scheduler_->batch().samples_together)
    samples_left_[request] = workload_->requests[request].samples;
  wake_batches(time);
  if (state_ == State::kIdle || matters) look_again(time);
}

void Replica::submit_computed(std::uint32_t request, double time) {
  ++outstanding_;
  scheduler_->enqueue_computed(request);
  look_again(time);
}

void Replica::fetched(SequenceId id, double time) {
  scheduler_->fetched(id);
  look_again(time);
}

void Replica::release(SequenceId id, double time) {
  // The ledger first: until now the blocks were held.
  if (state_ == State::kIdle) look_again(time);
  const bool under_way = state_ == State::kRunning || state_ == State::kOnLinks;
  if (under_way && !plan_.decodes && time > booked_until_) {
    result_.slots.add(kv_->usage(), Seconds{time - booked_until_});
    booked_until_ = time;
  }
  scheduler_->release(id);
  if (host_copy_.block.count() > 0) book_stores(time);
  note_timeline(std::max(time, now_));
}

void Replica::look_again(double time) {
  if (state_ == State::kIdle) {
    if (sinks_.batches == nullptr) {
      const double empty_before = result_.slots.empty;
      result_.slots.add(kv_->usage(), Seconds{std::max(0.0, time - now_)});
      if (plan_.head_blocked) result_.external += result_.slots.empty - empty_before;
    }
    state_ = State::kDue;
    now_ = std::max(now_, time);
  } else if (state_ == State::kRunning) {
    cut_run(time);
  }
}

// The run ends with the step under way: the first that ends at or after `time`.
void Replica::cut_run(double time) {
  std::int64_t low = 1, high = step_.run.steps;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (moment_of(step_.end(middle)) >= moment_of(time)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  step_.run.steps = low;
}

void Replica::advance_before(double time) {
  const double until = moment_of(time);
  while (has_next() && moment_of(next_event()) < until) {
    if (state_ == State::kIdle) look_again(loads_.front().end);
    if (state_ == State::kRunning) finish_step();
    if (state_ == State::kDue && moment_of(now_) < until) begin(now_);
  }
}

void Replica::advance_through(double time) {
  const double until = moment_of(time);
  while (has_next() && moment_of(next_event()) <= until) {
    if (state_ == State::kIdle) look_again(loads_.front().end);
    if (state_ == State::kRunning) finish_step();
    if (state_ == State::kDue) begin(now_);
  }
}

void Replica::close_books(double end) {
  if (sinks_.batches != nullptr) {
    book_pool(end);
  } else if (end > now_) {
    result_.slots.add(kv_->usage(), Seconds{end - now_});
  }
  now_ = std::max(now_, end);
  result_.observed = now_;
  if (&books() != this) return;
  result_.kv_peak = kv_->peak();
  result_.prefix_hit_tokens = kv_->prefix_hit_tokens();
  result_.prefix_query_tokens = kv_->prefix_query_tokens();
  const HostTierUse host = kv_->host_tier();
  result_.host_tier.stored = host_copy_.block * host.stored;
  result_.host_tier.evicted = host_copy_.block * host.evicted;
  result_.host_tier.resident = host_copy_.block * host.resident;
  result_.host_tier.loaded = host_copy_.block * host.loaded;
}

void Replica::begin(double time) {
  now_ = time;
  end_loads(time);
  if (sinks_.batches != nullptr) book_pool(time);
  do {
    scheduler_->plan(plan_);
    note_plan(time);
    if (sinks_.batches != nullptr) sinks_.batches->head_blocked = plan_.head_blocked;
    ++events_;
    // A plan that only threw somebody out takes no time: vLLM V0 gives up its last request rather than let it go on
    // without a spare block, or drops one that can never come back, and has room in the next turn.
  } while (!plan_.runs() && !(plan_.preempted.empty() && plan_.rejected.empty()));
  if (plan_.runs()) {
    state_ = State::kRunning;
    measure(time);
    wake_batches(time);
  } else {
    const Batch& batch = scheduler_->batch();
    if (!batch.idle() && batch.num_fetching() + batch.num_sent() == 0 && !any_in_flight())
      throw std::logic_error("replica " + std::to_string(index_) + " is stuck at " + std::to_string(time) +
                             " s: " + std::to_string(scheduler_->batch().waiting.size()) + " wait, " +
                             std::to_string(scheduler_->batch().num_running()) + " run, " +
                             std::to_string(kv_->available()) + " units are free");
    if (host_copy_.block.count() > 0) book_stores(time);  // of a complete row that the plan gave up
    state_ = State::kIdle;
  }
}

void Replica::book_pool(double time) {
  SharedBatches& shared = *sinks_.batches;
  ReplicaResult& r = books().result_;
  const double empty_before = r.slots.empty;
  r.slots.add(kv_->usage(), Seconds{std::max(0.0, time - shared.booked_until)});
  if (shared.head_blocked) r.external += r.slots.empty - empty_before;
  shared.booked_until = std::max(shared.booked_until, time);
}

void Replica::wake_batches(double time) {
  if (sinks_.batches == nullptr) return;
  for (Replica* other : sinks_.batches->batches)
    if (other != this && other->state_ == State::kIdle) other->look_again(time);
}

bool Replica::any_in_flight() const {
  if (sinks_.batches == nullptr) return false;
  const std::vector<Replica*>& all = sinks_.batches->batches;
  return std::any_of(all.begin(), all.end(), [](const Replica* r) { return r->state_ == State::kRunning; });
}

// What the plan did to requests before any time passes.
void Replica::note_plan(double time) {
  std::vector<RequestRecord>& records = *sinks_.records;
  for (const PreemptedSequence& p : plan_.preempted) {
    ++records[p.request].preemptions;
    ++result_.preemptions;
    if (p.generated == 0) continue;
    const std::uint64_t key = key_of(p.request, p.sample);
    if (row_by_row_) {
      books().interrupted_.emplace(key, token_of(p.id));
      continue;
    }
    const auto joined = std::find_if(joined_.begin(), joined_.end(), [&](const Joined& j) { return j.key == key; });
    // One that was computing its prompt again has been interrupted before.
    interrupted_.emplace(key, joined == joined_.end() ? last_decode_end_ : joined->token_at);
    if (joined != joined_.end()) joined_.erase(joined);
  }
  for (const SequenceId id : plan_.admitted) {
    const Sequence& s = scheduler_->batch().at(id);
    RequestRecord& record = records[s.request];
    if (record.scheduled < 0) {
      record.scheduled = std::max(time, record.arrival);  // it may have come within the nanosecond
      record.replica = index_;
      record.cached_tokens = static_cast<std::int32_t>(s.computed - (plan_.prefills.empty() ? 0 : tokens_planned(id)));
    }
  }
  for (const SequenceId id : plan_.swapped_in) {
    const Sequence& s = scheduler_->batch().at(id);
    const std::uint64_t key = key_of(s.request, s.sample);
    joined_.push_back(Joined{id, key, static_cast<std::uint32_t>(s.width), take_interruption(key, time)});
  }
  for (const SequenceId id : plan_.taken_over) {
    const Sequence& s = scheduler_->batch().at(id);
    joined_.push_back(Joined{id, key_of(s.request, s.sample), 1, records[s.request].first_token});
  }
  for (const KvFetch& fetch : plan_.fetches) {
    if (fetch.from_host) {
      start_load(fetch, time);
    } else {
      fetches.push_back(fetch);
    }
  }
  for (const std::uint32_t request : plan_.rejected) leave(request, RequestStatus::kRejected, time);
  for (const std::uint32_t request : plan_.out_of_memory) leave(request, RequestStatus::kOutOfMemory, time);
  if (!plan_.out_of_memory.empty()) joined_.clear();
  if (scheduler_->batch().num_waiting() == 0) plan_.head_blocked = false;  // given up, so that nobody waits
  note_timeline(time);
}

std::int64_t Replica::tokens_planned(SequenceId id) const {
  for (const ScheduledPrefill& p : plan_.prefills)
    if (p.id == id) return p.new_tokens - scheduler_->batch().at(id).padding;
  return 0;
}

double Replica::take_interruption(std::uint64_t key, double otherwise) {
  const auto it = interrupted_.find(key);
  if (it == interrupted_.end()) return otherwise;
  const double token_at = it->second;
  interrupted_.erase(it);
  return token_at;
}

const StepShape& Replica::shape_of_plan() {
  const Batch& batch = scheduler_->batch();
  const DecodeGroup& group = batch.group();
  shape_ = StepShape{};
  growth_ = {};
  chunks_.clear();
  if (plan_.decodes) {
    const std::int64_t fixed = scheduler_->fixed_context();
    shape_.decode_sequences = group.sequences;
    if (fixed > 0) {
      shape_.decode_context = shape_.decode_windowed_context = group.sequences * fixed;
    } else {
      // Each row attends to what is stored and to its new token.
      shape_.decode_context = group.context + group.sequences;
      shape_.decode_windowed_context = group.windowed + group.sequences;
      growth_.context = group.sequences;
      growth_.windowed = group.uncapped;
      if (spread_counts_) shape_.decode_spread = spread_of(group);
    }
    if (growing_cache_) {
      shape_.copied_context = group.context;
      growth_.copied = group.sequences;
    }
    shape_.logit_rows = group.sequences;
    shape_.block_copies = kv_->block_copies_for_next_step();
  }
  for (const ScheduledPrefill& p : plan_.prefills) {
    const bool like_last =
        !chunks_.empty() && chunks_.back().new_tokens == p.new_tokens && chunks_.back().past_tokens == p.past_tokens;
    if (like_last) {
      ++chunks_.back().sequences;
    } else {
      chunks_.push_back(PrefillChunk{p.new_tokens, p.past_tokens, 1});
    }
    shape_.logit_rows += logits_for_all_ ? p.new_tokens : (p.samples ? 1 : 0);
  }
  shape_.prompt_chunks = chunks_.size();
  DecodeGroup rows;
  for (const ScheduledSpeculation& row : plan_.speculations) {
    if (sinks_.batches != nullptr) {  // a decode as any other
      ++shape_.decode_sequences;
      ++shape_.logit_rows;
      shape_.decode_context += row.context;
      shape_.decode_windowed_context += window_ > 0 ? std::min(row.context, window_) : row.context;
      rows.sequences = shape_.decode_sequences;
      rows.context = shape_.decode_context;
      rows.squares += static_cast<double>(row.context) * static_cast<double>(row.context);
      continue;
    }
    ++shape_.draft_sequences;
    shape_.draft_context += row.context;
    chunks_.push_back(PrefillChunk{row.drafts + 1, row.context - row.drafts - 1, 1});
    shape_.logit_rows += row.drafts + 1;
  }
  if (spread_counts_ && rows.sequences > 0) shape_.decode_spread = spread_of(rows);
  shape_.prefills = chunks_;
  shape_.swapped_blocks = plan_.swapped_blocks;
  return shape_;
}

void Replica::measure(double time) {
  shape_of_plan();
  step_.start = booked_until_ = time;
  if (sinks_.runner != nullptr) {
    const StepTime t = sinks_.runner->run(*scheduler_, *kv_, plan_, shape_, time);
    step_.run = DecodeRun{1, t.total, Seconds{0}, t, Seconds{0}, Seconds{0}, Seconds{0}, Seconds{0}};
  } else if (sinks_.pipeline != nullptr) {
    const StepTime t = sinks_.pipeline->pass(time, shape_);
    step_.run = DecodeRun{1, t.total, Seconds{0}, t, Seconds{0}, Seconds{0}, Seconds{0}, Seconds{0}};
  } else if (sinks_.shared != nullptr && sinks_.shared->in_steps()) {
    begin_flows(time);
  } else if (plan_.only_decodes()) {
    step_.run = cost_->decode_run(shape_, growth_, scheduler_->run_limit(plan_));
    if (!loads_.empty()) cut_run(loads_.front().end);
  } else {
    const StepTime t = cost_->step_time(shape_);
    step_.run = DecodeRun{1, t.total, Seconds{0}, t, Seconds{0}, Seconds{0}, Seconds{0}, Seconds{0}};
  }
  if (!prompts_only_) return;
  for (const ScheduledPrefill& p : plan_.prefills)
    prompt_steps.push_back(
        PromptStep{scheduler_->batch().at(p.id).request, p.past_tokens + p.new_tokens, time, step_.end(1)});
}

void Replica::begin_flows(double time) {
  state_ = State::kOnLinks;
  StepScript script =
      script_of(*sinks_.shared, cost_->work(shape_), cost_->step_time(shape_).gpu,
                block_bytes_ * static_cast<double>(plan_.swapped_blocks), !plan_.swapped_in.empty(), ranks_);
  flows_.begin(time, std::move(script.units), script.ahead);
  go_on_with_flows(time);
}

// Ships the step's next transfer; after the last, the step's end is known.
void Replica::go_on_with_flows(double time) {
  if (flows_.moving()) {
    const FlowUnit& unit = flows_.unit();
    sinks_.traffic->ship(time, index_, kStepTag, *unit.over, unit.bytes, flows_.due() + unit.latency);
    return;
  }
  const StepTime t = cost_->step_time(shape_, Seconds{flows_.end() - step_.start});
  step_.run = DecodeRun{1, t.total, Seconds{0}, t, Seconds{0}, Seconds{0}, Seconds{0}, Seconds{0}};
  state_ = State::kRunning;
}

void Replica::finish_step() {
  const double end = step_.end(step_.run.steps);
  if (sinks_.batches != nullptr) book_pool(end);
  book(step_, end);
  if (sinks_.runner != nullptr) sinks_.runner->booked(*kv_);
  if (plan_.decodes) book_gaps(step_, end);
  scheduler_->complete(plan_, step_.run.steps, outcome_);
  note_outcome(end);
  if (host_copy_.block.count() > 0) book_stores(end);
  state_ = State::kDue;
  now_ = end;
  wake_batches(end);
}

}  // namespace headroom
