// One engine instance on its GPUs: turns a scheduler's plans into time, records and ledgers.
//
// The replica runs on its own clock, behind or at the simulation's. Its state is always "a step, or a run of decode
// steps, is under way and ends at next_event()". A run stretches to the next thing that could change it; a request
// that arrives in its midst and could be admitted cuts it at the end of the step under way. So time costs one event
// for each decision, not one for each token.
//
// KV that a request fetches from host memory comes over the GPU's own link, one copy after the other in each direction
// and beside the steps, so the replica knows when. Where others are on that link too, these copies and the transfers
// within steps are shipped (sim/network/traffic.h) and the caller says when they have arrived; a step waits for its
// own. KV that comes from another replica is the caller's business.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <unordered_map>
#include <vector>

#include "models/host_copy.h"
#include "models/step_time.h"
#include "sim/config/scenario.h"
#include "sim/engine/pipeline.h"
#include "sim/engine/shared_links.h"
#include "sim/engine/step_flows.h"
#include "sim/engine/step_runner.h"
#include "sim/metrics/run_result.h"
#include "sim/metrics/timeline.h"
#include "sim/network/traffic.h"
#include "sim/sched/scheduler.h"

namespace headroom {

class Replica;

// Of a pipeline whose batches in flight share one queue and one pool (vLLM V1): each batch is a replica by itself, and
// all of them plan with the scheduler of the first, which keeps their books.
struct SharedBatches {
  std::vector<Replica*> batches;
  double booked_until = 0;    // the ledger of the pool
  bool head_blocked = false;  // as the last plan had it
};

struct ReplicaSinks {  // shared by all replicas of a run
  std::vector<RequestRecord>* records = nullptr;
  std::vector<GapRun>* gaps = nullptr;
  Timeline* timeline = nullptr;
  StepRunner* runner = nullptr;             // null: steps take the time the cost model says
  std::vector<TraceSpan>* trace = nullptr;  // null: no trace is kept
  Pipeline* pipeline = nullptr;             // whose batches this replica's are; null: one stage
  SharedBatches* batches = nullptr;         // that share queue and pool with this one; null: nobody does
  Traffic* traffic = nullptr;               // of the links that others use too, with
  const SharedTransfers* shared = nullptr;  // what this replica has on them; null: nothing
};

class Replica {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  Replica(std::uint32_t index, const Scenario& scenario, const Workload& workload, const StepTimeModel& cost,
          KvAllocator& kv, ReplicaSinks sinks, Role role = Role::kBoth);

  // A request arrives at `time`, not before any event already passed. Requires advance_before(time) to have been
  // called.
  void submit(std::uint32_t request, double time);
  // When the step or run under way ends, or a plan is due; kNever when there is nothing to do, or it depends on others.
  double next_event() const;
  void advance_before(double time);   // everything that ends strictly before
  void advance_through(double time);  // and what ends at `time`
  void drain() { advance_through(kNever); }
  void close_books(double end);  // ledgers up to the end of the simulation

  // links -> replica: what it shipped under this tag has arrived.
  void arrived(std::uint64_t tag, double time);

  // --- disaggregated: the caller moves KV between replicas; times as submit()'s ---
  bool can_ever_run(std::uint32_t request) const { return scheduler_->can_ever_run(request); }
  // A request comes whose prompt is, or will be, computed by another replica.
  void submit_computed(std::uint32_t request, double time);
  // The KV that one of `fetches` asked for is here.
  void fetched(SequenceId id, double time);
  // One of `sent` has arrived elsewhere: its blocks are free.
  void release(SequenceId id, double time);

  std::int64_t outstanding() const { return outstanding_; }
  double last_end() const { return last_end_; }  // when it last finished anything
  const ReplicaResult& result() const { return result_; }
  std::int64_t events() const { return events_; }

  struct Ended {
    std::uint32_t request;
    double time;
  };
  struct PromptStep {  // of a prefill replica: a step computes the prompt up to there
    std::uint32_t request;
    std::int64_t tokens_after;
    double start, end;
  };
  // Since the caller last cleared them:
  std::vector<Ended> ended;          // requests that left
  std::vector<KvFetch> fetches;      // sequences that wait for KV of another replica
  std::vector<SampledPrefill> sent;  // sequences whose output is made elsewhere
  std::vector<PromptStep> prompt_steps;

 private:
  struct UnderWay {  // `steps` times the plan, from `start`
    double start = 0;
    DecodeRun run;
    double end(std::int64_t steps) const;
  };
  struct Joined {  // decodes since `token_at`, not part of the last decode step
    SequenceId id;
    std::uint64_t key;  // of its sample of its request
    std::uint32_t width;
    double token_at;
  };
  struct Load {  // from host memory
    SequenceId id;
    double end;
  };
  struct Copy {     // on links that others use too
    SequenceId id;  // that waits for it; nobody waits for a store
    std::int64_t blocks;
    double asked, started;
  };
  enum Tag : std::uint64_t { kStepTag, kLoadTag, kStoreTag };
  static std::uint64_t key_of(std::uint32_t request, std::int32_t sample) {
    return static_cast<std::uint64_t>(sample) << 32 | request;
  }

  bool has_next() const { return state_ == State::kIdle ? !loads_.empty() : state_ != State::kOnLinks; }
  void look_again(double time);  // what the next plan looks at has changed
  void cut_run(double time);
  void begin(double time);  // plans; leaves a step under way, or idle
  void end_loads(double time);
  void start_load(const KvFetch& fetch, double time);
  void ship_copy(std::deque<Copy>& copies, const std::vector<Route>& routes, Tag tag, double time);
  void begin_flows(double time);
  void go_on_with_flows(double time);
  void book_stores(double time);
  void measure(double time);  // how long the plan takes
  void finish_step();         // what is under way has ended
  void book(const UnderWay& step, double end);
  void book_gaps(const UnderWay& step, double end);
  void note_plan(double time);
  void note_timeline(double time);
  void note_outcome(double end);
  void leave(std::uint32_t request, RequestStatus status, double time);
  const StepShape& shape_of_plan();
  std::int64_t tokens_planned(SequenceId id) const;
  double take_interruption(std::uint64_t key, double otherwise);
  double& token_of(SequenceId id);  // row by row: when its last token came
  Replica& books() { return sinks_.batches != nullptr ? *sinks_.batches->batches.front() : *this; }
  void book_pool(double time);     // shared batches: the ledger up to there
  void wake_batches(double time);  // those without a plan may have one now
  bool any_in_flight() const;

  std::uint32_t index_;
  const Workload* workload_;
  const StepTimeModel* cost_;
  KvAllocator* kv_;
  std::shared_ptr<Scheduler> scheduler_;
  ReplicaSinks sinks_;
  bool logits_for_all_;
  bool growing_cache_;
  bool spread_counts_;
  bool row_by_row_;  // decodes are planned as rows of their own
  bool prompts_only_;
  std::int64_t ranks_, window_ = 0;
  double block_bytes_;  // on one rank

  enum class State { kIdle, kDue, kRunning, kOnLinks };  // kOnLinks: a step is under way whose end depends on others
  State state_ = State::kIdle;
  double now_ = 0;  // idle or due: since, at; running: start of the step
  UnderWay step_;
  double booked_until_ = 0;  // of a step without decodes: the ledger
  StepPlan plan_;
  StepOutcome outcome_;
  std::vector<PrefillChunk> chunks_;
  StepShape shape_;
  StepTimeModel::Growth growth_;
  double last_decode_end_ = -1;
  std::vector<Joined> joined_;
  std::unordered_map<std::uint64_t, double> interrupted_;  // when preempted sequences made their last token
  std::unordered_map<std::uint32_t, std::int64_t> samples_left_;
  std::vector<double> token_at_;                   // by sequence, row by row only
  HostCopy host_copy_;                             // of a block, one way
  std::deque<Load> loads_;                         // under way, in order of their ends
  double loads_until_ = 0;                         // when the link to the GPU is free
  double stores_until_ = 0;                        // and that to the host
  std::deque<Copy> shared_loads_, shared_stores_;  // the first of each is under way
  StepFlows flows_;
  HostTierUse host_tier_;  // as of the last step
  std::int64_t outstanding_ = 0;
  double last_end_ = 0;
  std::int64_t events_ = 0;
  ReplicaResult result_;
};

}  // namespace headroom
