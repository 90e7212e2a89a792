// The requests of one replica: who waits, who runs, and the decode group whose members all gain one token per step.
//
// A state machine without a clock. What a decode step changes is the same for every member, so members do not carry
// it: the group counts its steps (the decode clock) and a member's progress is the clock minus the clock at which it
// joined. A step of the whole group costs the same however many are in it.
//
// Invariants (tests name them by number):
//   1. A sequence is prefilling, decoding, set aside or retired, and in running(); or swapped, fetching, ready or sent,
//      and not in it.
//   2. running() is in order of admission; prefilling() is the subsequence of it that has prompt tokens left.
//   3. group().context is the sum of the members' stored tokens and pads, weighted by their samples; squares likewise.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <queue>
#include <vector>

#include "sim/memory/kv_allocator.h"
#include "sim/sched/options.h"
#include "sim/workload/workload.h"

namespace headroom {

enum class SequenceState : std::uint8_t {
  kPrefilling,
  kDecoding,
  kSetAside,
  kRetired,
  kSwapped,
  kFetching,  // has its blocks; their content is on its way
  kReady,     // and is there
  kSent       // its prompt is computed; its blocks stay until somebody else has their content
};

// A request (or one of its samples) that holds no KV. What a preemption leaves of a request is its output so far.
struct WaitingRequest {
  std::uint32_t request = 0;   // index into the workload
  std::int32_t generated = 0;  // output tokens made before it was preempted
  std::int32_t sample = 0;
  bool preempted = false;
  bool computed_elsewhere = false;  // its KV and first token are there already, on another instance
};

struct Sequence {
  std::uint32_t request = 0;
  std::int32_t sample = 0;
  SequenceState state = SequenceState::kPrefilling;
  std::int64_t to_compute = 0;  // tokens to compute before the next output: prompt + generated
  std::int64_t computed = 0;    // of them, those whose KV exists or is scheduled
  std::int64_t generated = 0;   // output tokens made when it last joined or left the decode group
  std::int64_t target = 0;      // output tokens it will make in all
  std::int64_t padding = 0;
  std::int64_t width = 1;         // samples that advance together (V0 sequence groups)
  std::int64_t joined_at = 0;     // decode clock
  std::uint64_t order = 0;        // of admission
  std::uint32_t epoch = 0;        // invalidates what queues still say about it
  std::int32_t in_flight = 0;     // plans under way that it is in (several batches in flight)
  SequenceId previous{}, next{};  // in running()
};

// The sums over the decode group that the cost of its next step depends on.
struct DecodeGroup {
  std::int64_t sequences = 0;  // rows computed, samples counted one by one, retired rows included
  std::int64_t live = 0;       // of them, those that still make output
  std::int64_t context = 0;    // stored tokens and pads
  double squares = 0;          // sum of each row's context squared: exact below 2^53
  std::int64_t windowed = 0;   // sum of min(context, window - 1); without a window: as context
  std::int64_t uncapped = 0;   // rows whose context is below window - 1: they still grow
};

class Batch {
 public:
  static constexpr SequenceId kNone{std::numeric_limits<std::uint32_t>::max()};

  // `window` of the model's sliding-window layers in tokens, 0 for none.
  Batch(const Workload& workload, KvAllocator& kv, std::int64_t max_model_len, std::int64_t window);

  // --- waiting ---
  std::deque<WaitingRequest> waiting;
  KvDemand demand_of(const WaitingRequest& waiting_request) const;
  const Request& request_of(const WaitingRequest& w) const { return workload_->requests[w.request]; }
  // Samples of one request that run as one sequence (V0), or one by one.
  bool samples_together = false;
  bool prompts_only = false;  // the output is made elsewhere: nothing of it is ever stored

  // --- running ---
  // Admits: opens its KV up to `upto` with `cached` tokens found. The caller has removed it from `waiting`.
  SequenceId admit(const WaitingRequest& waiting_request, const KvDemand& demand, std::int64_t cached,
                   std::int64_t upto);
  // The next `tokens` of its prompt are computed in the coming step; slots must be there.
  void schedule_prefill(SequenceId id, std::int64_t tokens);
  // Admits without running: its slots up to `upto` are taken, and when fetched() its first `computed` tokens are there.
  SequenceId admit_fetching(const WaitingRequest& waiting_request, const KvDemand& demand, std::int64_t cached,
                            std::int64_t computed, std::int64_t upto);
  void fetched(SequenceId id);
  std::deque<SequenceId> ready;  // fetched, in that order
  // The first of ready runs from now on: it decodes if nothing of its prompt is left to compute.
  SequenceId start_ready();
  // Its prompt is computed, the rest is done elsewhere: leaves running, keeps its KV until finish().
  void send(SequenceId id);
  std::int64_t num_fetching() const { return num_fetching_; }
  std::int64_t num_waiting() const { return static_cast<std::int64_t>(waiting.size()) + num_unstarted(); }
  std::int64_t num_unstarted() const { return num_fetching_ + static_cast<std::int64_t>(ready.size()); }
  std::int64_t num_sent() const { return num_sent_; }
  // Drops its KV; it goes to the front of waiting with the output it has.
  void preempt(SequenceId id);
  // Ends: gives its KV back.
  void finish(SequenceId id);

  SequenceId first_running() const { return head_; }
  SequenceId last_running() const { return tail_; }
  SequenceId next_running(SequenceId id) const { return at(id).next; }
  std::int64_t num_running() const { return num_running_; }  // sequences; samples counted by width
  const std::vector<SequenceId>& prefilling() const { return prefilling_; }
  const Sequence& at(SequenceId id) const { return sequences_[index_of(id)]; }
  Sequence& at(SequenceId id) { return sequences_[index_of(id)]; }
  std::int64_t generated(SequenceId id) const;  // output tokens made by now
  bool idle() const { return num_running_ == 0 && waiting.empty() && swapped.empty() && ready.empty(); }

  // --- swapped (V0) ---
  std::deque<SequenceId> swapped;
  std::int64_t swap_out(SequenceId id);  // blocks moved; leaves running
  std::int64_t swap_in(SequenceId id);   // blocks moved; decodes again
  void drop_swapped();                   // the first of them ends here

  // --- the decode group ---
  const DecodeGroup& group() const { return group_; }
  std::int64_t clock() const { return clock_; }
  void join(SequenceId id);       // its prompt is computed and its next token sampled
  void set_aside(SequenceId id);  // skipped in the coming step; rejoin() afterwards
  void rejoin(SequenceId id);
  void retire(SequenceId id);  // ended, its row stays until finish()
  // Steps until the next member has made its last token; 0 if one just has. Max if nobody decodes.
  std::int64_t steps_to_next_end();
  // Steps until some member's context reaches the sliding window. Max without a window.
  std::int64_t steps_to_next_cap();
  // The whole group has made `steps` tokens. Requires steps <= both of the above (an end may be reached, not passed).
  void advance(std::int64_t steps);
  // A member that has made its last token, in order of admission; kNone when there is no more.
  SequenceId next_ended();

 private:
  struct Due {  // a member reaches something at `clock`
    std::int64_t clock;
    std::uint64_t order;
    SequenceId id;
    std::uint32_t epoch;
    friend bool operator>(const Due& a, const Due& b) {
      return a.clock != b.clock ? a.clock > b.clock : a.order > b.order;
    }
  };
  using DueQueue = std::priority_queue<Due, std::vector<Due>, std::greater<>>;

  SequenceId open(const WaitingRequest& waiting_request, const KvDemand& demand, std::int64_t cached,
                  std::int64_t computed, std::int64_t upto);
  void end(SequenceId id, bool returns);
  void add_to_group(SequenceId id);
  void remove_from_group(SequenceId id);
  void drop_stale(DueQueue& queue) const;
  void unlink(SequenceId id);
  void append_running(SequenceId id);
  void settle(SequenceId id);  // brings generated and computed up to date

  const Workload* workload_;
  KvAllocator* kv_;
  std::int64_t max_model_len_;
  std::int64_t window_;
  std::vector<Sequence> sequences_;
  std::vector<SequenceId> free_ids_;
  std::vector<SequenceId> prefilling_;
  SequenceId head_ = kNone, tail_ = kNone;
  std::int64_t num_running_ = 0;
  std::int64_t num_fetching_ = 0;
  std::int64_t num_sent_ = 0;
  std::uint64_t admissions_ = 0;
  DecodeGroup group_;
  std::int64_t clock_ = 0;
  DueQueue ends_, caps_;
};

}  // namespace headroom
