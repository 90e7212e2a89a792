// What a replica's steps leave behind: the ledger of the pool, counters, gaps between tokens, records of requests.
#include <algorithm>

#include "sim/engine/replica.h"

namespace headroom {

void Replica::note_timeline(double time) {
  const std::uint32_t index = sinks_.batches == nullptr ? index_ : sinks_.batches->batches.front()->index_;
  sinks_.timeline->add(TimelineRow{time, index, kv_->usage(), plan_.head_blocked,
                                   static_cast<std::int32_t>(scheduler_->batch().num_running()),
                                   static_cast<std::int32_t>(scheduler_->batch().num_waiting())});
}

// Ledger and counters of the steps that have just ended.
void Replica::book(const UnderWay& step, double end) {
  const std::int64_t steps = step.run.steps;
  const auto n = static_cast<double>(steps);
  const double empty_before = result_.slots.empty;
  if (plan_.decodes) {
    kv_->advance(steps, step.run.first, step.run.slope, result_.slots);
  } else if (sinks_.batches == nullptr) {
    result_.slots.add(kv_->usage(), Seconds{std::max(0.0, end - booked_until_)});
  }
  if (plan_.head_blocked && sinks_.batches == nullptr) result_.external += result_.slots.empty - empty_before;
  const bool shared = sinks_.batches != nullptr;  // decodes are planned as rows of their own
  const std::int64_t decodes = plan_.decodes || shared ? shape_.decode_sequences : 0;
  const auto on_their_own = shared ? 0 : static_cast<std::int64_t>(plan_.speculations.size());
  const std::int64_t rows = decodes + static_cast<std::int64_t>(plan_.prefills.size()) + on_their_own;
  result_.steps += steps;
  result_.sequence_steps += n * static_cast<double>(rows);
  result_.max_batch = std::max(result_.max_batch, rows);
  result_.stepping += end - step.start;
  const StepTime& part = step.run.parts;
  const double gpu = step.run.sum(part.gpu, step.run.gpu_slope()).count();
  result_.busy += gpu;
  result_.extrapolated += step.run.sum(part.extrapolated, step.run.extrapolated_slope).count();
  result_.gemm += n * part.gemm.count();
  result_.attention += step.run.sum(part.attention, step.run.attention_slope).count();
  result_.elementwise += n * part.elementwise.count();
  result_.cache_copy += step.run.sum(part.cache_copy, step.run.cache_copy_slope).count();
  result_.communication += step.run.sum(part.communication, step.run.communication_slope).count();
  result_.host += std::max(0.0, (sinks_.pipeline == nullptr ? end - step.start : part.working.count()) - gpu);
  result_.fragmentation_peak = std::max(result_.fragmentation_peak, kv_->fragmentation());
  if (sinks_.trace != nullptr) {
    std::int64_t prompt_tokens = 0;
    for (const ScheduledPrefill& p : plan_.prefills) prompt_tokens += p.new_tokens;
    sinks_.trace->push_back(TraceSpan{step.start, end - step.start, index_, static_cast<std::int32_t>(steps),
                                      static_cast<std::int32_t>(decodes), static_cast<std::int32_t>(prompt_tokens)});
  }
}

// Gaps between tokens. Members that were in the last decode step all see the same ones; those that joined since have
// a first gap of their own.
void Replica::book_gaps(const UnderWay& step, double end) {
  const auto steps = static_cast<std::uint32_t>(step.run.steps);
  const double first = step.run.first.count();
  const double slope = step.run.slope.count();
  std::vector<GapRun>& gaps = *sinks_.gaps;
  const auto add = [&](double token_at, std::uint32_t rows) {
    if (rows == 0) return;
    const double wait = step.start - token_at;
    if (wait <= 0) {
      gaps.push_back(GapRun{first, slope, steps, rows});
      return;
    }
    gaps.push_back(GapRun{wait + first, 0, 1, rows});
    if (steps > 1) gaps.push_back(GapRun{first + slope, slope, steps - 1, rows});
  };
  const auto aside = [&](SequenceId id) {
    return std::find(plan_.set_aside.begin(), plan_.set_aside.end(), id) != plan_.set_aside.end();
  };
  auto old = static_cast<std::uint32_t>(scheduler_->batch().group().live);
  std::size_t kept = 0;
  for (const Joined& j : joined_) {
    if (aside(j.id)) {  // left out once more: still waits since its last token
      joined_[kept++] = j;
      continue;
    }
    old -= j.width;
    add(j.token_at, j.width);
  }
  add(last_decode_end_, old);
  joined_.resize(kept);
  for (const SequenceId id : plan_.set_aside) {
    if (std::any_of(joined_.begin(), joined_.end(), [&](const Joined& j) { return j.id == id; })) continue;
    const Sequence& s = scheduler_->batch().at(id);
    joined_.push_back(Joined{id, key_of(s.request, s.sample), static_cast<std::uint32_t>(s.width), last_decode_end_});
  }
  last_decode_end_ = end;
}

void Replica::note_outcome(double end) {
  std::vector<RequestRecord>& records = *sinks_.records;
  for (const SampledPrefill& p : outcome_.sampled) {
    RequestRecord& record = records[p.request];
    if (record.first_token < 0) record.first_token = end;
    auto& interrupted = books().interrupted_;
    const auto again = interrupted.find(key_of(p.request, p.sample));
    if (again != interrupted.end()) {
      sinks_.gaps->push_back(GapRun{end - again->second, 0, 1, p.width});
      interrupted.erase(again);
    }
    if (!p.decodes) continue;
    joined_.push_back(Joined{p.id, key_of(p.request, p.sample), p.width, end});
    if (row_by_row_) token_of(p.id) = end;
  }
  for (const SampledPrefill& p : outcome_.sent) {
    sent.push_back(p);
    --outstanding_;
  }
  if (row_by_row_) joined_.clear();
  for (const ScheduledSpeculation& row : plan_.speculations) {
    sinks_.gaps->push_back(GapRun{end - token_of(row.id), 0, 1, 1});
    token_of(row.id) = end;
  }
  for (const std::uint32_t request : outcome_.finished) {
    auto& samples_left = books().samples_left_;
    if (!samples_left.empty()) {
      const auto left = samples_left.find(request);
      if (left != samples_left.end() && --left->second > 0) continue;
      if (left != samples_left.end()) samples_left.erase(left);
    }
    leave(request, RequestStatus::kFinished, end);
  }
}

double& Replica::token_of(SequenceId id) {
  std::vector<double>& at = books().token_at_;
  if (at.size() <= index_of(id)) at.resize(index_of(id) + 1);
  return at[index_of(id)];
}

void Replica::leave(std::uint32_t request, RequestStatus status, double time) {
  RequestRecord& record = (*sinks_.records)[request];
  if (record.finish >= 0) return;  // another of its samples has died already
  const Request& r = workload_->requests[request];
  record.replica = index_;
  record.finish = time;
  record.status = status;
  record.output_tokens =
      status == RequestStatus::kFinished ? static_cast<std::int32_t>(r.output_tokens * r.samples) : 0;
  for (std::int32_t sample = 0; sample < r.samples && !books().interrupted_.empty(); ++sample)
    books().interrupted_.erase(key_of(request, sample));
  --outstanding_;
  last_end_ = std::max(last_end_, time);
  ended.push_back(Ended{request, time});
}

}  // namespace headroom
