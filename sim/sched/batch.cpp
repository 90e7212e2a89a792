#include "sim/sched/batch.h"

#include <algorithm>

namespace headroom {
namespace {

double squares(std::int64_t rows, std::int64_t context) {
  const auto c = static_cast<double>(context);
  return static_cast<double>(rows) * c * c;
}

}  // namespace

Batch::Batch(const Workload& workload, KvAllocator& kv, std::int64_t max_model_len, std::int64_t window)
    : workload_(&workload), kv_(&kv), max_model_len_(max_model_len), window_(window) {}

KvDemand Batch::demand_of(const WaitingRequest& w) const {
  const Request& request = workload_->requests[w.request];
  KvDemand demand;
  demand.prompt_tokens = request.prompt_tokens + w.generated;
  // The last output token is never an input, so its KV is never stored.
  demand.final_tokens = request.prompt_tokens + (prompts_only ? 0 : request.output_tokens - 1);
  demand.max_tokens = std::max(max_model_len_, demand.final_tokens);
  demand.width = samples_together ? request.samples : 1;
  // Samples that run one by one own what they generate; what their prompts share is in `content`.
  demand.request =
      RequestId{static_cast<std::uint32_t>(request.id) +
                static_cast<std::uint32_t>(w.sample) * static_cast<std::uint32_t>(workload_->requests.size())};
  demand.content = workload_->content(request);
  demand.output_content = request.output_content;
  demand.returns = w.preempted;
  return demand;
}

SequenceId Batch::admit(const WaitingRequest& w, const KvDemand& demand, std::int64_t cached, std::int64_t upto) {
  const SequenceId id = open(w, demand, cached, cached, upto);
  at(id).order = admissions_++;
  append_running(id);
  prefilling_.push_back(id);
  return id;
}

SequenceId Batch::admit_fetching(const WaitingRequest& w, const KvDemand& demand, std::int64_t cached,
                                 std::int64_t computed, std::int64_t upto) {
  const SequenceId id = open(w, demand, cached, computed, upto);
  Sequence& s = at(id);
  if (w.computed_elsewhere) s.to_compute = computed;
  s.state = SequenceState::kFetching;
  ++num_fetching_;
  return id;
}

void Batch::fetched(SequenceId id) {
  at(id).state = SequenceState::kReady;
  --num_fetching_;
  ready.push_back(id);
  kv_->end_load(id);
}

SequenceId Batch::start_ready() {
  const SequenceId id = ready.front();
  ready.pop_front();
  Sequence& s = at(id);
  s.order = admissions_++;
  append_running(id);
  kv_->store(id, s.computed);
  if (s.computed < s.to_compute) {
    s.state = SequenceState::kPrefilling;
    prefilling_.push_back(id);
  } else {
    add_to_group(id);
    kv_->join(id);
  }
  return id;
}

void Batch::send(SequenceId id) {
  Sequence& s = at(id);
  std::erase(prefilling_, id);
  unlink(id);
  ++s.generated;
  s.state = SequenceState::kSent;
  ++num_sent_;
}

SequenceId Batch::open(const WaitingRequest& w, const KvDemand& demand, std::int64_t cached, std::int64_t computed,
                       std::int64_t upto) {
  SequenceId id{};
  if (free_ids_.empty()) {
    id = SequenceId{static_cast<std::uint32_t>(sequences_.size())};
    sequences_.emplace_back();
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
  }
  kv_->open(id, demand, cached, upto);
  Sequence& s = at(id);
  const std::uint32_t epoch = s.epoch;
  s = Sequence{};
  s.epoch = epoch + 1;
  s.request = w.request;
  s.sample = w.sample;
  s.to_compute = demand.prompt_tokens;
  s.computed = computed;
  s.generated = w.generated;
  s.target = workload_->requests[w.request].output_tokens;
  s.padding = demand.padding;
  s.width = demand.width;
  return id;
}

void Batch::schedule_prefill(SequenceId id, std::int64_t tokens) {
  Sequence& s = at(id);
  s.computed += tokens;
  kv_->store(id, s.computed);
}

void Batch::preempt(SequenceId id) {
  settle(id);
  const Sequence& s = at(id);
  waiting.push_front(WaitingRequest{s.request, static_cast<std::int32_t>(s.generated), s.sample, true, false});
  end(id, true);
}

void Batch::finish(SequenceId id) {
  end(id, false);
}

void Batch::end(SequenceId id, bool returns) {
  Sequence& s = at(id);
  if (s.state == SequenceState::kDecoding || s.state == SequenceState::kRetired) {
    if (s.state == SequenceState::kDecoding) settle(id);
    remove_from_group(id);
    kv_->leave(id);
  }
  if (s.state == SequenceState::kPrefilling) std::erase(prefilling_, id);
  if (s.state == SequenceState::kSent) {
    --num_sent_;
  } else {
    unlink(id);
  }
  kv_->close(id, returns);
  ++s.epoch;
  free_ids_.push_back(id);
}

std::int64_t Batch::generated(SequenceId id) const {
  const Sequence& s = at(id);
  return s.state == SequenceState::kDecoding ? s.generated + clock_ - s.joined_at : s.generated;
}

std::int64_t Batch::swap_out(SequenceId id) {
  settle(id);
  remove_from_group(id);
  kv_->leave(id);
  unlink(id);
  Sequence& s = at(id);
  s.state = SequenceState::kSwapped;
  ++s.epoch;
  swapped.push_back(id);
  return kv_->swap_out(id);
}

std::int64_t Batch::swap_in(SequenceId id) {
  const std::int64_t blocks = kv_->swap_in(id);
  append_running(id);
  at(id).order = admissions_++;
  add_to_group(id);
  kv_->join(id);
  return blocks;
}

void Batch::drop_swapped() {
  const SequenceId id = swapped.front();
  swapped.pop_front();
  kv_->close(id, false);
  ++at(id).epoch;
  free_ids_.push_back(id);
}

void Batch::join(SequenceId id) {
  Sequence& s = at(id);
  if (s.state == SequenceState::kPrefilling) {
    std::erase(prefilling_, id);
    ++s.generated;
  }
  add_to_group(id);
  kv_->join(id);
}

void Batch::set_aside(SequenceId id) {
  settle(id);
  remove_from_group(id);
  kv_->leave(id);
  at(id).state = SequenceState::kSetAside;
  ++at(id).epoch;
}

void Batch::rejoin(SequenceId id) {
  add_to_group(id);
  kv_->join(id);
}

void Batch::retire(SequenceId id) {
  Sequence& s = at(id);
  settle(id);
  s.state = SequenceState::kRetired;
  group_.live -= s.width;
  kv_->retire(id);
}

void Batch::settle(SequenceId id) {
  Sequence& s = at(id);
  if (s.state != SequenceState::kDecoding) return;
  const std::int64_t steps = clock_ - s.joined_at;
  s.generated += steps;
  s.computed += steps;
  s.joined_at = clock_;
}

void Batch::add_to_group(SequenceId id) {
  Sequence& s = at(id);
  s.state = SequenceState::kDecoding;
  s.joined_at = clock_;
  const std::int64_t context = s.computed + s.padding;
  group_.sequences += s.width;
  group_.live += s.width;
  group_.context += s.width * context;
  group_.squares += squares(s.width, context);
  ends_.push(Due{clock_ + s.target - s.generated, s.order, id, s.epoch});
  if (window_ > 0 && context >= window_ - 1) {
    group_.windowed += s.width * (window_ - 1);
  } else {
    group_.windowed += s.width * context;
    group_.uncapped += s.width;
    if (window_ > 0) caps_.push(Due{clock_ + window_ - 1 - context, s.order, id, s.epoch});
  }
}

void Batch::remove_from_group(SequenceId id) {
  const Sequence& s = at(id);
  // A retired row's computed length stands still while its context grows with the clock.
  const std::int64_t context = s.computed + s.padding + clock_ - s.joined_at;
  group_.sequences -= s.width;
  if (s.state != SequenceState::kRetired) group_.live -= s.width;
  group_.context -= s.width * context;
  group_.squares -= squares(s.width, context);
  if (window_ > 0 && context >= window_ - 1) {
    group_.windowed -= s.width * (window_ - 1);
  } else {
    group_.windowed -= s.width * context;
    group_.uncapped -= s.width;
  }
}

void Batch::drop_stale(DueQueue& queue) const {
  while (!queue.empty() && at(queue.top().id).epoch != queue.top().epoch) queue.pop();
}

std::int64_t Batch::steps_to_next_end() {
  while (!ends_.empty() &&
         (at(ends_.top().id).epoch != ends_.top().epoch || at(ends_.top().id).state != SequenceState::kDecoding))
    ends_.pop();
  return ends_.empty() ? std::numeric_limits<std::int64_t>::max() : ends_.top().clock - clock_;
}

std::int64_t Batch::steps_to_next_cap() {
  drop_stale(caps_);
  return caps_.empty() ? std::numeric_limits<std::int64_t>::max() : caps_.top().clock - clock_;
}

void Batch::advance(std::int64_t steps) {
  clock_ += steps;
  const auto k = static_cast<double>(steps);
  group_.squares += k * (2 * static_cast<double>(group_.context) + k * static_cast<double>(group_.sequences));
  group_.context += group_.sequences * steps;
  group_.windowed += group_.uncapped * steps;
  if (window_ == 0) return;
  for (drop_stale(caps_); !caps_.empty() && caps_.top().clock == clock_; drop_stale(caps_)) {
    group_.uncapped -= at(caps_.top().id).width;
    caps_.pop();
  }
}

SequenceId Batch::next_ended() {
  if (steps_to_next_end() != 0) return kNone;
  const SequenceId id = ends_.top().id;
  ends_.pop();
  return id;
}

void Batch::append_running(SequenceId id) {
  Sequence& s = at(id);
  s.previous = tail_;
  s.next = kNone;
  (tail_ == kNone ? head_ : at(tail_).next) = id;
  tail_ = id;
  num_running_ += s.width;
}

void Batch::unlink(SequenceId id) {
  const Sequence& s = at(id);
  (s.previous == kNone ? head_ : at(s.previous).next) = s.next;
  (s.next == kNone ? tail_ : at(s.next).previous) = s.previous;
  num_running_ -= s.width;
}

}  // namespace headroom
