// The only door to SimGrid. Who sleeps on what:
//
//   client     until the next arrival; then the router chooses, and the replica takes the request
//   replica    until the step or run under way ends, if anybody looks (closed loops, load-aware routing);
//              otherwise it is brought up to date when a request comes, and once more at the end
//
// A replica's state at any instant is a function of what it was sent, so both ways give the same result; the second
// costs one sleep per request instead of one per decision.
#include "sim/engine/simulation.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <queue>
#include <simgrid/s4u.hpp>
#include <vector>

#include "sim/config/scenario_derive.h"
#include "sim/engine/replica.h"
#include "sim/engine/router.h"

namespace headroom {
namespace {

namespace sg = simgrid::s4u;

struct Arrival {
  double time;
  std::uint32_t request;
  friend bool operator>(const Arrival& a, const Arrival& b) {
    return a.time != b.time ? a.time > b.time : a.request > b.request;
  }
};

// SimGrid allows one engine and one sealed platform per process, so later runs live on the first one's hosts; the clock
// goes on from where the last run ended (origin_).
struct Platform {
  sg::Engine engine;
  sg::Host* client;
  std::vector<sg::Host*> gpus;

  explicit Platform(std::size_t replicas) : engine(argc(), argv()) {
    sg::NetZone* world = sg::create_full_zone("world");
    client = world->create_host("client", 1e9);
    for (std::size_t i = 0; i < replicas; ++i) gpus.push_back(world->create_host("replica" + std::to_string(i), 1e9));
    world->seal();
  }

  // Replicas beyond the first run's share hosts; a host is only a place here.
  sg::Host* gpu(std::size_t i) const { return gpus[i % gpus.size()]; }

  static Platform& of_this_process(std::size_t replicas) {
    static Platform platform(replicas);
    return platform;
  }

 private:
  // Small stacks, and silence: what goes wrong is reported by exception.
  static inline std::string words_[] = {"headroom", "--cfg=contexts/stack-size:256", "--log=root.thresh:critical"};
  static inline char* pointers_[] = {words_[0].data(), words_[1].data(), words_[2].data(), nullptr};
  static inline int count_ = 3;
  static int* argc() { return &count_; }
  static char** argv() { return pointers_; }
};

class Simulation {
 public:
  Simulation(const Scenario& scenario, const Workload& workload, const SimulationOptions& options)
      : platform_(Platform::of_this_process(static_cast<std::size_t>(scenario.cluster.replicas))),
        scenario_(scenario),
        workload_(workload),
        options_(options),
        cost_(scenario.model, scenario.hardware, step_time_options(scenario)),
        timeline_(options.full_timeline),
        router_(scenario.cluster.router, static_cast<std::size_t>(scenario.cluster.replicas), scenario.seed),
        watched_(router_.looks_at_load() || !workload.follow_up.empty()) {
    if (options.step_by_step) scenario_.engine.scheduler.step_by_step = true;
    scenario_.engine.scheduler.seed = scenario.seed;
    make_records();
    make_replicas();
  }

  RunResult run() {
    origin_ = sg::Engine::get_clock();
    changed_.resize(replicas_.size());
    for (auto& c : changed_) c = sg::ConditionVariable::create();
    sg::Actor::create("client", platform_.client, [this] { send_all(); });
    for (std::size_t i = 0; i < replicas_.size(); ++i)
      sg::Actor::create("replica", platform_.gpu(i), [this, i] { serve(i); });
    platform_.engine.run();
    if (failure_) std::rethrow_exception(failure_);
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
    const auto count = static_cast<std::size_t>(scenario_.cluster.replicas);
    outstanding_.resize(count);
    const ReplicaSinks sinks{&records_, &gaps_, &timeline_, options_.trace ? &trace_ : nullptr};
    for (std::size_t i = 0; i < count; ++i) {
      kv_.push_back(make_kv_allocator(scenario_));
      replicas_.push_back(
          std::make_unique<Replica>(static_cast<std::uint32_t>(i), scenario_, workload_, cost_, *kv_.back(), sinks));
    }
  }

  double clock() const { return sg::Engine::get_clock() - origin_; }

  // --- client -> router -> replica: one request at its time of arrival ---
  void send_all() {
    try {
      if (watched_) {
        send_watched();
      } else {
        for (const Request& r : workload_.requests) {
          wait_until(r.arrival.count());
          send(static_cast<std::uint32_t>(r.id), r.arrival.count());
        }
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
    all_sent_ = true;
    for (const auto& c : changed_) c->notify_all();
  }

  // Arrivals of the workload merged with those that completions bring about.
  void send_watched() {
    std::uint32_t next = 0;
    std::size_t sent = 0;
    const auto total = static_cast<std::uint32_t>(workload_.requests.size());
    std::unique_lock<sg::Mutex> lock(*client_mutex_);
    while (sent < total && !failure_) {
      while (next < total && workload_.requests[next].arrival.count() < 0) ++next;
      const double by_clock = next < total ? workload_.requests[next].arrival.count() : Replica::kNever;
      const double by_end = follow_ups_.empty() ? Replica::kNever : follow_ups_.top().time;
      const double time = std::min(by_clock, by_end);
      if (time > clock()) {
        if (time == Replica::kNever) {
          follow_up_came_->wait(lock);
        } else {
          follow_up_came_->wait_until(lock, origin_ + time);
        }
        if (clock() + 1e-9 < time) continue;  // woken early: something may come before
      }
      if (by_end < by_clock) {
        const std::uint32_t request = follow_ups_.top().request;
        follow_ups_.pop();
        records_[request].arrival = time;
        send(request, time);
      } else {
        send(next++, time);
      }
      ++sent;
    }
  }

  void send(std::uint32_t request, double time) {
    const Request& r = workload_.requests[request];
    const std::size_t i = router_.choose(r, workload_.content(r), outstanding_);
    Replica& replica = *replicas_[i];
    replica.advance_before(time);
    replica.submit(request, time);
    ++outstanding_[i];
    ++events_;
    if (watched_) {
      note_ended(i);
      changed_[i]->notify_all();
    }
    if (options_.progress && (events_ & 0x3ff) == 0)
      options_.progress(static_cast<std::size_t>(events_), workload_.requests.size());
  }

  // --- replica: time passes for it ---
  void serve(std::size_t i) {
    Replica& replica = *replicas_[i];
    try {
      std::unique_lock<sg::Mutex> lock(*client_mutex_);
      while (!failure_) {
        const double next = watched_ ? replica.next_event() : Replica::kNever;
        if (next == Replica::kNever) {
          if (all_sent_) break;
          changed_[i]->wait(lock);
          continue;
        }
        if (next > clock()) changed_[i]->wait_until(lock, origin_ + next);
        if (clock() + 1e-9 < next) continue;  // a new request changed what is next
        replica.advance_through(std::max(next, clock()));
        note_ended(i);
      }
      lock.unlock();
      replica.drain();
      wait_until(replica.last_end());
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  // replica -> router and client: these requests have ended.
  void note_ended(std::size_t i) {
    Replica& replica = *replicas_[i];
    for (const Replica::Ended& e : replica.ended) {
      --outstanding_[i];
      if (workload_.follow_up.empty()) continue;
      const std::uint32_t next = workload_.follow_up[e.request];
      if (next == Workload::kNoFollowUp) continue;
      follow_ups_.push(Arrival{e.time + workload_.follow_up_delay[next].count(), next});
      follow_up_came_->notify_all();
    }
    replica.ended.clear();
  }

  void wait_until(double time) const {
    if (time > clock()) sg::this_actor::sleep_until(origin_ + time);
  }

  RunResult collect() {
    RunResult result;
    for (const auto& replica : replicas_) result.duration = std::max(result.duration, replica->last_end());
    for (const auto& replica : replicas_) {
      replica->close_books(result.duration);
      result.replicas.push_back(replica->result());
      events_ += replica->events();
    }
    result.memory = plan_memory(scenario_.model, scenario_.hardware, memory_plan_input(scenario_));
    result.gpus =
        scenario_.cluster.replicas * scenario_.cluster.tensor_parallel_size * scenario_.cluster.pipeline_parallel_size;
    result.requests = std::move(records_);
    result.gaps = std::move(gaps_);
    result.timeline = timeline_.take();
    result.trace = std::move(trace_);
    result.evidence = cost_.evidence();
    result.events = events_;
    return result;
  }

  Platform& platform_;
  Scenario scenario_;
  const Workload& workload_;
  const SimulationOptions& options_;
  StepTimeModel cost_;
  std::vector<RequestRecord> records_;
  std::vector<GapRun> gaps_;
  Timeline timeline_;
  std::vector<TraceSpan> trace_;
  std::vector<std::unique_ptr<KvAllocator>> kv_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<std::int64_t> outstanding_;
  Router router_;
  bool watched_;  // somebody reacts to completions as they happen
  bool all_sent_ = false;
  double origin_ = 0;
  std::int64_t events_ = 0;
  std::exception_ptr failure_;
  std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> follow_ups_;
  std::vector<sg::ConditionVariablePtr> changed_;
  sg::MutexPtr client_mutex_ = sg::Mutex::create();
  sg::ConditionVariablePtr follow_up_came_ = sg::ConditionVariable::create();
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
