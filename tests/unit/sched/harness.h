// Drives one scheduler over a handful of requests and writes each step as one line.
//
//   p0:6!   request 0 computes 6 prompt tokens; ! its next token is sampled
//   d1      request 1 decodes        s1:3/2  request 1 verifies 3 drafts, 2 are accepted
//   x2 r3 o4  preempted, rejected, out of memory
//   h2:3    request 2 waits for 3 blocks from the host, n2:3 from another instance; t2 it decodes from here on
//   B       the head of the queue was refused for memory
//   s0      its prompt is computed, the rest happens elsewhere      f0      request 0 has ended after the step       l0
//   its row has made its last token, the batch goes on
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/memory/kv_allocator.h"
#include "sim/sched/scheduler.h"

namespace headroom::testing {

struct Asked {
  std::int64_t prompt;
  std::int64_t output;
  std::int64_t samples = 1;
};

inline std::unique_ptr<KvAllocator> allocator_named(const std::string& name, const KvAllocatorOptions& options) {
  for (const KvAllocatorEntry& entry : kv_allocators())
    if (entry.name == name) return entry.make(options);
  return nullptr;
}

inline Workload workload_of(const std::vector<Asked>& asked) {
  Workload workload;
  for (const Asked& a : asked) {
    Request r;
    r.id = RequestId{static_cast<std::uint32_t>(workload.requests.size())};
    r.prompt_tokens = a.prompt;
    r.output_tokens = a.output;
    r.samples = a.samples;
    workload.requests.push_back(r);
  }
  return workload;
}

class Harness {
 public:
  Harness(const std::vector<Asked>& asked, const std::string& allocator, const KvAllocatorOptions& kv_options,
          const SchedulerOptions& options)
      : workload_(workload_of(asked)),
        kv_(allocator_named(allocator, kv_options)),
        scheduler_(scheduler_named(options.scheduler).make(workload_, *kv_, options, 0)) {}

  void arrive(std::uint32_t request) {
    if (!scheduler_->enqueue(request)) refused_ += " r" + std::to_string(request);
  }
  // The prompts of these requests are known content, all of it: {request, content}.
  void know(const std::vector<std::pair<std::uint32_t, std::uint64_t>>& contents) {
    for (const auto& [request, content] : contents) {
      Request& r = workload_.requests[request];
      r.first_segment = static_cast<std::uint32_t>(workload_.segments.size());
      r.num_segments = 1;
      workload_.segments.push_back({content, r.prompt_tokens});
    }
  }
  void all_arrive() {
    for (std::uint32_t i = 0; i < workload_.requests.size(); ++i) arrive(i);
  }

  std::string step() {
    scheduler_->plan(plan_);
    std::string line = std::exchange(refused_, "");
    Batch& batch = scheduler_->batch();
    if (plan_.decodes)
      for (SequenceId id = batch.first_running(); id != Batch::kNone; id = batch.next_running(id))
        if (batch.at(id).state == SequenceState::kDecoding) line += " d" + std::to_string(batch.at(id).request);
    for (const ScheduledPrefill& p : plan_.prefills)
      line +=
          " p" + std::to_string(batch.at(p.id).request) + ":" + std::to_string(p.new_tokens) + (p.samples ? "!" : "");
    for (const ScheduledSpeculation& s : plan_.speculations)
      line += " s" + std::to_string(batch.at(s.id).request) + ":" + std::to_string(s.drafts) + "/" +
              std::to_string(s.accepted);
    for (const PreemptedSequence& p : plan_.preempted) line += " x" + std::to_string(p.request);
    for (const std::uint32_t r : plan_.rejected) line += " r" + std::to_string(r);
    for (const std::uint32_t r : plan_.out_of_memory) line += " o" + std::to_string(r);
    for (const KvFetch& f : plan_.fetches) {
      line += (f.from_host ? " h" : " n") + std::to_string(f.request) + ":" + std::to_string(f.blocks);
      fetching.push_back(f.id);
    }
    for (const SequenceId id : plan_.taken_over) line += " t" + std::to_string(batch.at(id).request);
    if (plan_.swapped_blocks > 0) line += " swap:" + std::to_string(plan_.swapped_blocks);
    if (plan_.head_blocked) line += " B";
    if (plan_.runs()) {
      SlotSeconds ledger;
      if (plan_.decodes) kv_->advance(1, Seconds{1}, Seconds{0}, ledger);
      scheduler_->complete(plan_, 1, outcome_);
      for (const std::uint32_t r : outcome_.last_tokens) line += " l" + std::to_string(r);
      for (const SampledPrefill& s : outcome_.sent) {
        line += " s" + std::to_string(s.request);
        sent.push_back(s.id);
      }
      for (const std::uint32_t r : outcome_.finished) line += " f" + std::to_string(r);
    }
    return line.empty() ? line : line.substr(1);
  }

  std::vector<std::string> steps(int most = 100) {
    std::vector<std::string> lines;
    for (int i = 0; i < most && !scheduler_->batch().idle(); ++i) lines.push_back(step());
    return lines;
  }

  // Not yet there; not yet released. The test says when.
  std::deque<SequenceId> fetching, sent;
  void arrived() {
    scheduler_->fetched(fetching.front());
    fetching.pop_front();
  }
  void released() {
    scheduler_->release(sent.front());
    sent.pop_front();
  }

  Scheduler& scheduler() { return *scheduler_; }
  KvAllocator& kv() { return *kv_; }

 private:
  Workload workload_;
  std::unique_ptr<KvAllocator> kv_;
  std::unique_ptr<Scheduler> scheduler_;
  StepPlan plan_;
  StepOutcome outcome_;
  std::string refused_;
};

}  // namespace headroom::testing
