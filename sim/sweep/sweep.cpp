// Who does what:
//
//   rank 0        hands out point numbers, to its own workers and to the other ranks, and writes what comes back
//   other ranks   pass numbers on to their workers, and records back
//   workers       load the point's scenario, simulate, summarize
//
// A rank has up to two points per worker, so that nobody waits for a message. Messages to a rank: "P" and a point's
// number, or "E" for the end; from a rank: "J" and its number of workers, then "R" and a record each.
#include "sim/sweep/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <filesystem>
#include <vector>

#include "sim/engine/simulation.h"
#include "sim/engine/slo_bounds.h"
#include "sim/output/progress.h"
#include "sim/output/summary_json.h"
#include "sim/output/sweep_database.h"
#include "sim/sweep/fields.h"
#include "sim/sweep/workers.h"

namespace headroom {
namespace {

using std::chrono::milliseconds;

// Sets itself while it lives: SIGINT and SIGTERM ask for an orderly end.
class Interruption {
 public:
  Interruption() {
    struct sigaction action {};
    action.sa_handler = [](int) { asked_ = 1; };  // without SA_RESTART: poll() returns
    for (std::size_t i = 0; i < 2; ++i) sigaction(kSignals[i], &action, &before_[i]);
  }
  ~Interruption() {
    for (std::size_t i = 0; i < 2; ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }
  Interruption(const Interruption&) = delete;
  static bool asked() { return asked_ != 0; }

 private:
  static constexpr int kSignals[2] = {SIGINT, SIGTERM};
  static inline volatile std::sig_atomic_t asked_ = 0;
  struct sigaction before_[2];
};

std::string packed(const PointRecord& r) {
  return pack(
      {std::to_string(r.id), r.seed ? std::to_string(*r.seed) : "", r.message, r.sha256, r.resolved, r.summary});
}
PointRecord unpacked(const std::string& text) {
  const std::vector<std::string> f = unpack(text);
  PointRecord r{std::stoull(f.at(0)), {}, f.at(2), f.at(3), f.at(4), f.at(5)};
  if (!f[1].empty()) r.seed = std::stoull(f[1]);
  return r;
}

// What a worker does with a point.
class PointRunner {
 public:
  PointRunner(const SweepFile& sweep, Shelf& shelf, std::string version)
      : sweep_(sweep), shelf_(shelf), version_(std::move(version)) {}

  std::optional<std::string> operator()(const std::string& order) {
    if (broken_) return std::nullopt;
    PointRecord record;
    record.id = std::stoull(order);
    const SweepPoint point = sweep_.point(record.id);
    record.seed = point.seed;
    bool simulating = false;
    try {
      const Scenario scenario = load_point(sweep_, point, shelf_);
      record.seed = scenario.seed;
      record.sha256 = scenario.sha256;
      record.resolved = scenario.resolved;
      const Workload workload = workload_of(scenario);
      simulating = true;
      const RunResult run = simulate(scenario, workload);
      record.summary = summary_json(scenario, run, summarize(run, scenario.hardware, slo_bounds(scenario)), version_);
    } catch (const std::exception& error) {
      record.message = error.what();
      broken_ = simulating;  // actors of a run that was left are still about
    }
    return packed(record);
  }

 private:
  const SweepFile& sweep_;
  Shelf& shelf_;
  std::string version_;
  bool broken_ = false;
};

// The record of an answer; a worker that died leaves a failed point.
std::string record_of(const Workers::Answer& answer, const SweepFile& sweep) {
  if (answer.death.empty()) return answer.text;
  PointRecord record;
  record.id = std::stoull(answer.order);
  record.seed = sweep.point(record.id).seed;
  record.message = "its process " + answer.death;
  return packed(record);
}

class Leader {
 public:
  Leader(const SweepFile& sweep, const SweepOptions& options, const Ranks& ranks, SweepDatabase database)
      : sweep_(sweep),
        ranks_(ranks),
        database_(std::move(database)),
        room_(static_cast<std::size_t>(ranks.size())),
        done_(database_.recorded()) {
    outcome_.before = static_cast<std::size_t>(std::count(done_.begin(), done_.end(), true));
    todo_ = done_.size() - outcome_.before;
    quiet_ = options.quiet;
  }

  SweepOutcome run(Workers& workers) {
    PointProgress progress(outcome_.before, done_.size(), !quiet_);
    while (outcome_.recorded < todo_ && !Interruption::asked()) {
      while (workers.idle() > 0 && more()) workers.give(std::to_string(next_++));
      for (const Workers::Answer& answer : workers.wait(milliseconds(ranks_.size() > 1 ? 1 : 200)))
        record(record_of(answer, sweep_));
      while (const auto message = ranks_.receive()) hear(*message);
      progress.update(outcome_.before + outcome_.recorded, outcome_.failed);
    }
    progress.finish();
    outcome_.interrupted = outcome_.recorded < todo_;
    if (!outcome_.interrupted)
      for (int rank = 1; rank < ranks_.size(); ++rank) ranks_.send(rank, "E");
    return outcome_;
  }

 private:
  bool more() {
    while (next_ < done_.size() && done_[next_]) ++next_;
    return next_ < done_.size();
  }
  void record(const std::string& text) {
    const PointRecord record = unpacked(text);
    database_.record(record);
    ++outcome_.recorded;
    outcome_.failed += record.message.empty() ? 0 : 1;
  }
  void hear(const Ranks::Message& message) {
    std::size_t& room = room_[static_cast<std::size_t>(message.from)];
    if (message.text.front() == 'J') {
      room += 2 * std::stoull(message.text.substr(1));
    } else {
      record(message.text.substr(1));
      ++room;
    }
    for (; room > 0 && more(); --room) ranks_.send(message.from, "P" + std::to_string(next_++));
  }

  const SweepFile& sweep_;
  const Ranks& ranks_;
  SweepDatabase database_;
  std::vector<std::size_t> room_;  // points each rank could still take
  std::vector<bool> done_;         // recorded when we began
  std::size_t next_ = 0;
  std::size_t todo_ = 0;
  bool quiet_ = false;
  SweepOutcome outcome_;
};

void follow(const SweepFile& sweep, int jobs, const Ranks& ranks, Workers& workers) {
  std::deque<std::string> points;
  ranks.send(0, "J" + std::to_string(jobs));
  for (;;) {
    while (const auto message = ranks.receive()) {
      if (message->text == "E") return;
      points.push_back(message->text.substr(1));
    }
    for (; workers.idle() > 0 && !points.empty(); points.pop_front()) workers.give(points.front());
    for (const Workers::Answer& answer : workers.wait(milliseconds(1))) ranks.send(0, "R" + record_of(answer, sweep));
  }
}

// The points that were loaded when the sweep was read stand for every input; what they load now must be what the
// database's were made from.
SweepDatabase database_for(const SweepFile& sweep, Shelf& shelf, const SweepOptions& options) {
  const bool there = std::filesystem::exists(options.database);
  if (!there) return SweepDatabase::create(options.database, sweep, options.version);
  if (!options.resume) throw ConfigError({options.database, 0, 0}, "is there already; --resume goes on with it");
  SweepDatabase database = SweepDatabase::open(options.database, sweep, options.version);
  for (const std::size_t id : sweep.probes) {
    const std::string before = database.sha256_of(id);
    if (!before.empty() && load_point(sweep, sweep.point(id), shelf).sha256 != before)
      throw ConfigError(
          {options.database, 0, 0},
          fmt::format("point {} was run with other inputs (model, hardware, preset or trace); expected a new "
                      "database",
                      id));
  }
  return database;
}

}  // namespace

SweepOutcome run_sweep(const SweepFile& sweep, Shelf& shelf, const SweepOptions& options, const Ranks& ranks) {
  const Interruption interruption;  // rank 0 decides when to end
  std::optional<Leader> leader;
  std::exception_ptr problem;
  if (ranks.rank() == 0) try {
      leader.emplace(sweep, options, ranks, database_for(sweep, shelf, options));
    } catch (...) {
      problem = std::current_exception();
    }
  if (ranks.any(problem != nullptr)) {
    if (problem) std::rethrow_exception(problem);
    return {};
  }
  Workers workers(options.jobs, PointRunner(sweep, shelf, options.version));
  if (leader) return leader->run(workers);
  follow(sweep, options.jobs, ranks, workers);
  return {};
}

}  // namespace headroom
