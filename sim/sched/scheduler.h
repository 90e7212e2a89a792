// Decides which requests run in the next step, and with how many tokens.
//
// One object per replica. It owns the batch and asks the KV allocator; it knows no time, so the simulator and an
// executor on a real GPU drive the same code:
//
//   scheduler.plan(plan);                     who runs
//   time = ...                                simulated, or measured
//   kv.advance(...); scheduler.complete(...)  what changed
//
// A plan of nothing but decodes may be repeated up to run_limit() times before the next decision. With several batches
// in flight (SchedulerOptions::batches_in_flight) a plan may follow before earlier ones are complete, which then come
// back in any order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sim/sched/batch.h"

namespace headroom {

struct ScheduledPrefill {
  SequenceId id{};
  std::int64_t new_tokens = 0;  // computed in this step, pads included
  std::int64_t past_tokens = 0;
  bool samples = false;  // its last chunk: the step yields its next output token
};

// A sequence that was admitted, but waits until KV computed before is copied into its blocks.
struct KvFetch {
  SequenceId id{};
  std::uint32_t request = 0;
  std::int64_t blocks = 0;       // to be copied
  std::int64_t past_tokens = 0;  // in front of them, here already
  bool from_host = false;        // of this instance; otherwise from another one
};

// A sequence that lost its KV; `generated` output tokens are kept.
struct PreemptedSequence {
  std::uint32_t request = 0;
  std::int32_t sample = 0;
  std::int64_t generated = 0;
  SequenceId id{};  // that it had
};

// A request whose prompt is computed and whose next token is there; it decodes unless it has ended with it.
struct SampledPrefill {
  SequenceId id{};
  std::uint32_t request = 0;
  std::int32_t sample = 0;
  std::uint32_t width = 1;
  bool decodes = false;
};

// A sequence that decodes outside of the group. It verifies `drafts` tokens; `accepted` is filled in by who runs the
// step.
struct ScheduledSpeculation {
  SequenceId id{};
  std::int64_t drafts = 0;
  std::int64_t accepted = 0;
  std::int64_t context = 0;  // tokens attended to by the last of its query tokens
};

struct StepPlan {
  bool decodes = false;  // every member of the decode group makes one token
  std::vector<ScheduledPrefill> prefills;
  std::vector<ScheduledSpeculation> speculations;
  std::vector<SequenceId> set_aside;  // decoding members left out of this step
  std::vector<PreemptedSequence> preempted;
  std::vector<SequenceId> admitted;
  std::vector<SequenceId> swapped_in;
  std::vector<KvFetch> fetches;
  std::vector<SequenceId> taken_over;        // fetched from another instance, decode from this step on
  std::vector<std::uint32_t> rejected;       // requests that can never run
  std::vector<std::uint32_t> out_of_memory;  // requests of a static batch that died
  std::int64_t swapped_blocks = 0;           // over PCIe, both ways
  bool head_blocked = false;                 // the first waiting request was refused for memory
  void clear();
  bool runs() const { return decodes || !prefills.empty() || !speculations.empty(); }
  bool only_decodes() const {
    return decodes && prefills.empty() && speculations.empty() && set_aside.empty() && swapped_blocks == 0;
  }
};

// What a step (or a run of decode steps) brought to an end.
struct StepOutcome {
  std::vector<SampledPrefill> sampled;
  std::vector<std::uint32_t> finished;     // (one entry per sample)
  std::vector<std::uint32_t> last_tokens;  // static batches: rows that made their last token, batch goes on
  std::vector<SampledPrefill> sent;        // of sampled: decode elsewhere
  void clear();
};

class Scheduler {
 public:
  Scheduler(const Workload& workload, KvAllocator& kv, const SchedulerOptions& options, std::int64_t window);
  virtual ~Scheduler() = default;
  Scheduler(const Scheduler&) = delete;

  // A request arrives. Returns false when it can never run here: longer than the engine's limit or than the pool.
  bool enqueue(std::uint32_t request);
  bool can_ever_run(std::uint32_t request) const;

  // A request whose prompt another instance computes or has computed arrives. Requires a paged pool and role kDecode.
  void enqueue_computed(std::uint32_t request);
  // What a fetch waited for is here.
  void fetched(SequenceId id) { batch_.fetched(id); }
  // Another instance has the KV of a sequence of StepOutcome::sent: its blocks are given back.
  void release(SequenceId id) { batch_.finish(id); }

  // Decides the next step and takes its slots, those of the decode group excepted (KvAllocator::advance takes them).
  virtual void plan(StepPlan& plan) = 0;

  // How many steps of the same plan may follow each other, the first included. Requires plan.only_decodes().
  virtual std::int64_t run_limit(const StepPlan& plan);

  // Whether a request that arrives while such a run goes on could change the next step.
  virtual bool arrival_matters() const;

  // The plan was executed `steps` times. kv.advance() has been called if the plan decodes.
  virtual void complete(const StepPlan& plan, std::int64_t steps, StepOutcome& outcome);

  // Rows whose attention reads a fixed length at every step (HF's static cache); 0: what is stored.
  virtual std::int64_t fixed_context() const { return 0; }

  Batch& batch() { return batch_; }
  const Batch& batch() const { return batch_; }

 protected:
  std::int64_t run_limit_keeping(std::int64_t keep_free);
  // What a request asks for when it is the only one.
  virtual KvDemand demand_alone(const KvDemand& demand) const { return demand; }
  // Slots a request must be able to have with the pool to itself, or it is refused on arrival.
  virtual std::int64_t slots_it_must_fit(const KvDemand& demand) const { return demand.final_tokens; }
  // Most prompt tokens one request may have; 0: no limit but max_model_len.
  virtual std::int64_t prompt_limit() const { return 0; }
  // Units to be left free at an admission: the watermark is a share of the pool, rounded down.
  std::int64_t watermark() const;
  void preempt(SequenceId id, StepPlan& plan);
  void note_preempted(SequenceId id, StepPlan& plan) const;
  // Gives the next `tokens` of its prompt to the plan; slots must be there.
  void schedule_prefill(SequenceId id, std::int64_t tokens, StepPlan& plan);
  // Its prompt is computed: it ends (one output token) or decodes.
  void sampled(SequenceId id, StepOutcome& outcome);
  virtual void start_decoding(SequenceId id);

  SchedulerOptions options_;
  KvAllocator& kv_;
  Batch batch_;
  std::vector<SequenceId> ended_;  // in the step being completed
  std::vector<SequenceId> late_;   // ended one step ago, still in the batch (late_stop)
};

// Every scheduler a scenario can name; one line in schedulers.cpp adds one.
struct SchedulerEntry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<Scheduler> (*make)(const Workload&, KvAllocator&, const SchedulerOptions&, std::int64_t window);
};
std::span<const SchedulerEntry> schedulers();
const SchedulerEntry& scheduler_named(std::string_view name);  // throws std::out_of_range

}  // namespace headroom
