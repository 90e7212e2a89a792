// Client, router and replicas on one simulated clock.
//
// Things happen at two kinds of moments: a request arrives, or a replica's step (or run of steps) ends. How much of a
// common clock that takes depends on who reacts to whom:
//
//   nobody reacts to what replicas do   each replica is brought up to date when a request comes, and at the end; its
//                                       state at any instant is a function of what it was sent
//   one replica, and a client or        one calendar: arrivals and ends in order of time
//     sessions that wait for answers
//   several replicas that are watched   the same calendar, driven by SimGrid's clock, on which client and replicas are
//     (load-aware routing, ...) or      processes (clock.h), and the transfers on links that several use too
//     slow each other on links
//
// Simultaneous moments are handled in one order, whoever was woken first: arrivals before transfers, those before ends
// of steps, lower numbers before higher. So all three give the same bytes, and what ran before on the same clock leaves
// no trace.
#include "sim/engine/simulation.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "sim/config/scenario_derive.h"
#include "sim/engine/clock.h"
#include "sim/engine/handover.h"
#include "sim/engine/moment.h"
#include "sim/engine/replica.h"
#include "sim/engine/router.h"
#include "sim/engine/shared_links.h"

namespace headroom {
namespace {

constexpr double kNever = Replica::kNever;

struct Moment {
  double time;
  std::uint32_t whose;  // request or replica
  friend bool operator>(const Moment& a, const Moment& b) {
    const double s = moment_of(a.time), t = moment_of(b.time);
    return s != t ? s > t : a.whose > b.whose;
  }
};
using Moments = std::priority_queue<Moment, std::vector<Moment>, std::greater<>>;

class Simulation {
 public:
  Simulation(const Scenario& scenario, const Workload& workload, const SimulationOptions& options)
      : scenario_(scenario),
        workload_(workload),
        options_(options),
        cost_(scenario.model, scenario.hardware, step_time_options(scenario)),
        api_server_(scenario.workload.over_http ? scenario.engine.api_server.value() : ApiServer{}),
        lanes_(static_cast<std::size_t>(scenario.cluster.pipeline_parallel_size)),
        timeline_(options.full_timeline),
        router_(scenario.cluster.router, static_cast<std::size_t>(scenario.cluster.replicas), scenario.seed) {
    if (options.step_by_step || options.runner != nullptr) scenario_.engine.scheduler.step_by_step = true;
    scenario_.engine.scheduler.seed = scenario.seed;
    make_records();
    make_replicas();
  }

  RunResult run() {
    const bool watched = router_.looks_at_load() || !workload_.follow_up.empty() || traffic_;
    if (options_.always_on_clock || (watched && outstanding_.size() > 1)) {
      run_on_clock();
    } else if (watched || lanes_ > 1) {
      handle_through(kNever);
    } else {
      run_apart();
    }
    return collect();
  }

 private:
  void make_records() {
    records_.resize(workload_.requests.size());
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const Request& r = workload_.requests[i];
      RequestRecord& record = records_[i];
      record.id = r.id;
      record.arrival = r.arrival.count();
      record.prompt_tokens = static_cast<std::int32_t>(r.prompt_tokens);
      record.samples = static_cast<std::int32_t>(r.samples);
    }
  }

  void make_replicas() {
    gaps_.reserve(4 * records_.size());  // a typical run's: moving them while they grow would double the memory
    const auto count = static_cast<std::size_t>(scenario_.cluster.replicas);
    outstanding_.resize(count);
    ReplicaSinks sinks;
    sinks.records = &records_;
    sinks.gaps = &gaps_;
    sinks.timeline = &timeline_;
    sinks.runner = options_.runner;
    sinks.trace = options_.trace ? &trace_ : nullptr;
    if (lanes_ > 1) {
      stages_ = stages_of(scenario_);
      sends_ = stage_links(scenario_);
      SchedulerOptions& options = scenario_.engine.scheduler;
      options.step_by_step = true;
      if (batches_share_pool(scenario_)) {  // an engine with batches in flight does not plan ahead of them
        options.batches_in_flight = scenario_.cluster.pipeline_parallel_size;
        options.late_stop = options.plans_ahead = false;
      } else {
        options.max_num_seqs = ceil_div(options.max_num_seqs, static_cast<std::int64_t>(lanes_));
      }
    }
    share_links();
    sinks.traffic = traffic_.get();
    for (std::size_t i = 0; i < count * lanes_; ++i) {
      if (!shared_.empty()) sinks.shared = &shared_[i];
      if (lanes_ > 1 && i % lanes_ == 0) pipelines_.push_back(std::make_unique<Pipeline>(stages_, sends_));
      if (lanes_ > 1) sinks.pipeline = pipelines_.back().get();
      const bool shares = batches_share_pool(scenario_);
      if (shares && i % lanes_ == 0) batches_.push_back(std::make_unique<SharedBatches>());
      if (shares) sinks.batches = batches_.back().get();
      if (!shares || i % lanes_ == 0) kv_.push_back(make_kv_allocator(scenario_));
      Role role = Role::kBoth;
      if (scenario_.cluster.prefill_replicas > 0)
        role = i < static_cast<std::size_t>(scenario_.cluster.prefill_replicas) ? Role::kPrefill : Role::kDecode;
      replicas_.push_back(std::make_unique<Replica>(static_cast<std::uint32_t>(i), scenario_, workload_, cost_,
                                                    *kv_.back(), sinks, role));
    }
    if (scenario_.cluster.prefill_replicas > 0)
      handover_ = std::make_unique<Handover>(scenario_, workload_, replicas_, outstanding_, *platform_, *traffic_);
  }

  // Links that transfers of several replicas are on, if there are any: then no step can be foreseen beyond its own end.
  void share_links() {
    const bool moves_kv = scenario_.cluster.prefill_replicas > 0;
    if (!moves_kv && !may_share_links(scenario_)) return;
    platform_ = std::make_unique<Platform>(platform_of(scenario_));
    if (options_.runner == nullptr) shared_ = shared_transfers(scenario_, *platform_);
    if (!shared_.empty()) scenario_.engine.scheduler.step_by_step = true;
    if (moves_kv || !shared_.empty()) traffic_ = std::make_unique<Traffic>(platform_->idle());
  }

  std::size_t route(std::uint32_t request) {
    const Request& r = workload_.requests[request];
    return router_.choose(r, workload_.content(r), outstanding_);
  }
  // The lane of a replica with the fewest requests, as vLLM V0 chooses a virtual engine.
  std::size_t lane_of(std::size_t replica) const {
    std::size_t best = replica * lanes_;
    if (!batches_.empty()) return best;  // one queue
    for (std::size_t i = best + 1; i < (replica + 1) * lanes_; ++i)
      if (replicas_[i]->outstanding() < replicas_[best]->outstanding()) best = i;
    return best;
  }
  // The client's times and the engine's.
  double reaches_engine(double sent) const { return sent + api_server_.request.count(); }
  double reaches_client(double done) const { return done + api_server_.answer.count(); }
  // client -> router -> replica: one request at its time of arrival.
  void send(std::uint32_t request, std::size_t replica, double time) {
    replicas_[replica]->advance_before(time);
    replicas_[replica]->submit(request, time);
    ++outstanding_[replica / lanes_];
    ++events_;
    if (options_.progress && (events_ & 0x3ff) == 0)
      options_.progress(static_cast<std::size_t>(events_), workload_.requests.size());
  }

  // Each replica's whole life in turn: what it works on stays in the processor's cache.
  void run_apart() {
    std::vector<std::vector<std::uint32_t>> sent(replicas_.size());
    for (const Request& r : workload_.requests)
      sent[route(static_cast<std::uint32_t>(r.id))].push_back(static_cast<std::uint32_t>(r.id));
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      for (const std::uint32_t request : sent[i]) {
        send(request, i, reaches_engine(workload_.requests[request].arrival.count()));
        replicas_[i]->ended.clear();
      }
      replicas_[i]->drain();
    }
  }

  // --- the calendar ---
  double next_on_links() const {
    if (!traffic_) return kNever;
    return handover_ ? std::min(traffic_->next_change(), handover_->next_event()) : traffic_->next_change();
  }
  // links -> who shipped it: it has arrived.
  void move(double time) {
    traffic_->advance(time);
    for (const Traffic::Arrival& a : std::exchange(traffic_->arrivals, {})) {
      if (a.owner == Handover::kOwner) {
        handover_->arrived_piece(static_cast<std::uint32_t>(a.tag), time, touched_);
      } else {
        replicas_[a.owner]->arrived(a.tag, time);
        touched_.push_back(a.owner);
      }
    }
    if (handover_) handover_->advance(time, touched_);
    settle(time);
  }
  // When the next request comes: of the workload, or of those that completions brought about.
  double next_arrival() {
    const std::vector<Request>& all = workload_.requests;
    while (next_ < all.size() && all[next_].arrival.count() < 0) ++next_;
    const double by_clock = next_ < all.size() ? reaches_engine(all[next_].arrival.count()) : kNever;
    return follow_ups_.empty() ? by_clock : std::min(by_clock, follow_ups_.top().time);
  }
  // Sends it; touches the replica it went to.
  void arrive(double time) {
    std::uint32_t request = 0;
    if (next_ < workload_.requests.size() && reaches_engine(workload_.requests[next_].arrival.count()) == time) {
      request = static_cast<std::uint32_t>(next_++);
    } else {
      request = follow_ups_.top().whose;
      follow_ups_.pop();
      records_[request].arrival = time - api_server_.request.count();
    }
    ++num_sent_;
    if (handover_) return handover_->arrive(request, time, touched_);
    const std::size_t i = lane_of(route(request));
    send(request, i, time);
    touched_.push_back(i);
  }
  // When the first of the replicas has something to do.
  double next_end() {
    while (!ends_.empty() && replicas_[ends_.top().whose]->next_event() != ends_.top().time) ends_.pop();
    return ends_.empty() ? kNever : ends_.top().time;
  }

  // Everything up to and at `time`, in order.
  void handle_through(double time) {
    for (;;) {
      const double arrival = next_arrival(), moved = next_on_links(), end = next_end();
      const double first = std::min({arrival, moved, end});
      if (first == kNever || moment_of(first) > moment_of(time)) return;
      if (moment_of(arrival) <= moment_of(first)) {
        arrive(arrival);
        settle(arrival);
      } else if (moment_of(moved) <= moment_of(first)) {
        move(moved);
      } else {
        const std::size_t i = ends_.top().whose;
        replicas_[i]->advance_through(end);
        touched_.push_back(i);
        settle(end);
      }
    }
  }

  // What replicas did at `time` may touch others in turn.
  void settle(double time) {
    while (!touched_.empty()) {
      const std::size_t i = touched_.back();
      touched_.pop_back();
      if (handover_) handover_->collect(i, time, touched_);
      note_ended(i);
      // Batches that share a queue may all have a plan now.
      const std::size_t first = batches_.empty() ? i : i / lanes_ * lanes_, count = batches_.empty() ? 1 : lanes_;
      for (std::size_t k = first; k < first + count; ++k) {
        if (const double next = replicas_[k]->next_event(); next != kNever)
          ends_.push(Moment{next, static_cast<std::uint32_t>(k)});
        if (clock_ != nullptr) clock_->wake(processes_[k]);
      }
    }
    if (clock_ != nullptr && traffic_) clock_->wake(links_);
  }

  // replica -> router and client: these requests have ended.
  void note_ended(std::size_t i) {
    for (const Replica::Ended& e : replicas_[i]->ended) {
      --outstanding_[i / lanes_];
      ++num_ended_;
      if (workload_.follow_up.empty()) continue;
      const std::uint32_t next = workload_.follow_up[e.request];
      if (next == Workload::kNoFollowUp) continue;
      follow_ups_.push(Moment{reaches_engine(reaches_client(e.time) + workload_.follow_up_delay[next].count()), next});
      if (clock_ != nullptr) clock_->wake(client_);
    }
    replicas_[i]->ended.clear();
  }

  // --- the calendar driven by SimGrid's clock ---
  void run_on_clock() {
    clock_ = &simgrid_clock(replicas_.size() + 2);
    client_ = clock_->add("client", [this] {
      live([this] { return num_sent_ < workload_.requests.size(); }, [this] { return next_arrival(); });
    });
    for (std::size_t i = 0; i < replicas_.size(); ++i)
      processes_.push_back(clock_->add("replica" + std::to_string(i), [this, &replica = *replicas_[i]] {
        live([&] { return num_ended_ < workload_.requests.size() || replica.next_event() != kNever; },
             [&] { return replica.next_event(); });
      }));
    if (traffic_)
      links_ = clock_->add("links", [this] {
        live([this] { return num_ended_ < workload_.requests.size(); }, [this] { return next_on_links(); });
      });
    clock_->run();
    clock_ = nullptr;
    if (failure_) std::rethrow_exception(failure_);
  }

  // A process: waits for its own next moment, which others may change; handles what is due by then, its own and theirs.
  template <class GoesOn, class NextMoment>
  void live(GoesOn goes_on, NextMoment next_moment) {
    try {
      while (!failure_ && goes_on()) {
        const double next = next_moment();
        clock_->wait_until(next);
        if (clock_->now() + kSameTime >= next) handle_through(next);
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
    if (!failure_ && num_ended_ < workload_.requests.size()) return;
    for (const Clock::ProcessId p : processes_) clock_->wake(p);
    clock_->wake(client_);
    if (traffic_) clock_->wake(links_);
  }

  RunResult collect() {
    RunResult result;
    if (traffic_) handle_through(kNever);  // copies to the host that nobody waits for
    for (const auto& replica : replicas_) result.duration = std::max(result.duration, replica->last_end());
    result.duration = reaches_client(result.duration);
    for (const auto& replica : replicas_) {
      replica->close_books(result.duration);
      result.replicas.push_back(replica->result());
      events_ += replica->events();
    }
    if (scenario_.workload.over_http)
      for (RequestRecord& record : records_)
        for (double* time : {&record.first_token, &record.finish})
          if (*time >= 0) *time = reaches_client(*time);
    if (lanes_ > 1)
      for (RequestRecord& record : records_) record.replica /= static_cast<std::uint32_t>(lanes_);
    for (const auto& pipeline : pipelines_) {
      result.pipeline_active += pipeline->active() * static_cast<double>(lanes_);
      result.pipeline_occupied += pipeline->occupied();
      result.pipeline_sending += pipeline->sending();
      result.pipeline_sent += pipeline->sent();
    }
    result.memory = scenario_.memory;
    result.gpus = scenario_.cluster.replicas * gpus_per_replica(scenario_);
    result.requests = std::move(records_);
    result.gaps = std::move(gaps_);
    result.prefill_replicas = static_cast<std::size_t>(scenario_.cluster.prefill_replicas);
    if (handover_) result.transfers = handover_->take_transfers();
    if (traffic_) {
      const Network& links = traffic_->links();
      for (LinkId l = 0; l < links.num_links(); ++l)
        result.links.push_back({links.name(l), links.carried(l), links.bandwidth(l).rate()});
    }
    result.timeline = timeline_.take();
    result.trace = std::move(trace_);
    result.evidence = options_.runner != nullptr ? Evidence::kMeasured : cost_.evidence();
    result.events = events_;
    return result;
  }

  static constexpr double kSameTime = 1e-9;  // seconds: the clock's own resolution

  Scenario scenario_;
  const Workload& workload_;
  const SimulationOptions& options_;
  StepTimeModel cost_;
  ApiServer api_server_;  // zero: clients are where the engine is
  std::size_t lanes_;     // batches in flight of each replica: replicas_ and kv_ hold them, replica by replica
  std::vector<StepTimeModel> stages_;
  std::vector<CollectiveLink> sends_;
  std::vector<std::unique_ptr<Pipeline>> pipelines_;     // by replica; none with one stage
  std::vector<std::unique_ptr<SharedBatches>> batches_;  // by replica; none where batches share nothing
  std::vector<RequestRecord> records_;
  std::vector<GapRun> gaps_;
  Timeline timeline_;
  std::vector<TraceSpan> trace_;
  std::vector<std::unique_ptr<KvAllocator>> kv_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<std::int64_t> outstanding_;
  Router router_;
  std::unique_ptr<Platform> platform_;
  std::vector<SharedTransfers> shared_;  // by replica; empty: nobody slows anybody
  std::unique_ptr<Traffic> traffic_;     // on links that several use; null: none are
  std::unique_ptr<Handover> handover_;   // between prefill and decode replicas; null: all do both
  std::vector<std::size_t> touched_;     // replicas whose next event may have changed
  std::int64_t events_ = 0;

  std::size_t next_ = 0;  // request of the workload
  std::size_t num_sent_ = 0, num_ended_ = 0;
  Moments follow_ups_;  // arrivals that completions brought about
  Moments ends_;        // of replicas' steps; stale where a replica has another next event by now

  Clock* clock_ = nullptr;  // null: nobody needs it
  Clock::ProcessId client_{};
  std::vector<Clock::ProcessId> processes_;  // of each replica
  Clock::ProcessId links_{};
  std::exception_ptr failure_;
};

}  // namespace

Workload workload_of(const Scenario& scenario) {
  Workload workload = make_workload(scenario.workload, scenario.seed);
  return workload;
}

RunResult simulate(const Scenario& scenario, const Workload& workload, const SimulationOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  RunResult result = Simulation(scenario, workload, options).run();
  result.wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return result;
}

}  // namespace headroom
