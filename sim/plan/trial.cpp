#include "sim/plan/trial.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/config/errors.h"
#include "sim/config/scenario_derive.h"
#include "sim/engine/simulation.h"
#include "sim/engine/slo_bounds.h"
#include "sim/output/summary_json.h"
#include "sim/sweep/fields.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

using Arrivals = ArrivalProcess::Kind;

std::vector<double*> numbers_of(Limits& l) {
  return {&l.compute,      &l.bandwidth,       &l.communication,    &l.host,         &l.idle,
          &l.waits_for_kv, &l.waits_for_batch, &l.waits_for_tokens, &l.kv_used,      &l.preemptions_per_request,
          &l.misses_ttft,  &l.misses_tpot,     &l.misses_e2el,      &l.late_in_queue};
}
std::vector<double*> numbers_of(Trial& t) {
  return {&t.refused, &t.requests_per_s, &t.output_tokens_per_s, &t.ttft, &t.tpot, &t.e2el};
}

void set_rate(Scenario& s, double rate) {
  ArrivalProcess& a = s.workload.arrivals;
  if (rate <= 0) {
    a = ArrivalProcess{};
    a.kind = Arrivals::kBatch;
    s.workload.time_scale = 1;
  } else if (a.kind == Arrivals::kTrace) {
    s.workload.time_scale *= recorded_rate(s) / rate;
  } else {
    a.rate = rate;
  }
}

// From a step's tokens on, its largest product takes longer to compute than its weights take to read.
double ridge_tokens(const Scenario& s) {
  const StepTimeModel cost(s.model, s.hardware, step_time_options(s));
  double bytes = 0, elements = 0;
  for (const GemmOp& gemm : cost.ops().gemms) {
    const auto size = static_cast<double>(gemm.k * gemm.n * gemm.count);
    elements += size;
    bytes += size * gemm.weight_bytes_per_element;
  }
  const HardwareProfile& h = s.hardware;
  const double compute = h.peak[static_cast<std::size_t>(s.dtype)].rate() * h.gemm_compute_efficiency;
  return bytes / elements * compute / (2 * h.memory_bandwidth.rate() * h.gemm_memory_efficiency);
}

// As many requests as the scenario asks for, at arrivals of its own, each one of the recorded.
Workload drawn_from(const Workload& recorded, const Scenario& s) {
  WorkloadSpec times;
  times.requests = s.workload.requests;
  times.arrivals = s.workload.arrivals;
  const Workload arrivals = make_workload(times, s.seed);
  Workload drawn;
  drawn.segments = recorded.segments;
  Random random(s.seed, "recorded request");
  for (const Request& slot : arrivals.requests) {
    Request r = recorded.requests[random.below(recorded.requests.size())];
    r.id = slot.id;
    r.arrival = slot.arrival;
    drawn.requests.push_back(r);
  }
  return drawn;
}

struct Judged {
  double arrival, ttft, tpot, e2el;
  bool good;
};

std::vector<Judged> judged_requests(const RunResult& run, const SloBounds& slo) {
  std::vector<Judged> all;
  constexpr double kLost = 1e9;  // later than any bound
  for (const RequestRecord& r : run.requests) {
    if (r.status == RequestStatus::kRejected) continue;
    Judged j{r.arrival, kLost, kLost, kLost, false};
    if (r.status == RequestStatus::kFinished) {
      const int own = r.output_tokens / r.samples;
      j.ttft = r.first_token - r.arrival;
      j.e2el = r.finish - r.arrival;
      j.tpot = own > 1 ? (j.e2el - j.ttft) / (own - 1) : 0;
      j.good = (slo.ttft < 0 || j.ttft <= slo.ttft) && (slo.tpot < 0 || j.tpot <= slo.tpot) &&
               (slo.e2el < 0 || j.e2el <= slo.e2el);
    }
    all.push_back(j);
  }
  std::stable_sort(all.begin(), all.end(), [](const Judged& a, const Judged& b) { return a.arrival < b.arrival; });
  return all;
}

double percentile_of(const std::vector<Judged>& judged, double Judged::*member, double percentile) {
  std::vector<double> values;
  for (const Judged& j : judged) values.push_back(j.*member);
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : headroom::percentile(values, percentile);
}

}  // namespace

std::string packed(const TrialOrder& o) {
  return pack({std::to_string(o.candidate), fmt::format("{}", o.rate), std::to_string(o.seed),
               std::to_string(o.replicas), std::to_string(o.requests), o.with_limits ? "1" : ""});
}
TrialOrder order_from(const std::string& text) {
  const std::vector<std::string> f = unpack(text);
  return {std::stoull(f.at(0)), std::stod(f.at(1)),  std::stoull(f.at(2)),
          std::stoll(f.at(3)),  std::stoll(f.at(4)), !f.at(5).empty()};
}

std::string packed(const Trial& trial) {
  Trial t = trial;
  std::string numbers;
  for (const double* x : numbers_of(t)) numbers += fmt::format("{} ", *x);
  for (const double* x : numbers_of(t.limits)) numbers += fmt::format("{} ", *x);
  for (const double x : t.samples) numbers += fmt::format("{} ", x);
  return pack({numbers, t.prediction, std::to_string(t.judged)});
}
Trial trial_from(const std::string& text) {
  const std::vector<std::string> f = unpack(text);
  Trial t;
  t.prediction = f.at(1);
  t.judged = std::stoll(f.at(2));
  const char* at = f.at(0).c_str();
  const auto next = [&] {
    char* end = nullptr;
    const double x = std::strtod(at, &end);
    at = end + 1;
    return x;
  };
  for (double* x : numbers_of(t)) *x = next();
  for (double* x : numbers_of(t.limits)) *x = next();
  while (at < f[0].c_str() + f[0].size()) t.samples.push_back(next());
  return t;
}

bool replays_times(const Scenario& s) {
  return s.workload.arrivals.kind == Arrivals::kTrace;
}

double recorded_rate(const Scenario& s) {
  const Workload workload = workload_of(s);
  const std::size_t count = workload.requests.size();
  const double span = count > 1 ? workload.requests.back().arrival.count() : 0;
  return span > 0 ? static_cast<double>(count - 1) / span : 0;
}

void check_arrivals(const Scenario& s) {
  const Arrivals kind = s.workload.arrivals.kind;
  const SourcePos place{s.file, 0, 0};
  if (kind == Arrivals::kClosedLoop || kind == Arrivals::kBatch || kind == Arrivals::kOnOff)
    throw ConfigError(
        place,
        "workload.arrivals: a plan varies the rate of arrivals; expected process poisson, gamma, constant or "
        "trace");
  if (s.workload.sessions) throw ConfigError(place, "workload.sessions: a plan varies the rate of single requests");
  if (kind == Arrivals::kTrace && recorded_rate(s) <= 0)
    throw ConfigError(place, "workload.trace: its requests come at one time; a plan varies their rate");
}

std::optional<Workload> requests_to_draw_from(const Scenario& scenario) {
  if (!scenario.workload.trace || replays_times(scenario)) return std::nullopt;
  Scenario all = scenario;
  all.workload.requests = 0;
  return workload_of(all);
}

Trial run_trial(Scenario s, const std::optional<Workload>& rows, const TrialOrder& order, double percentile) {
  s.seed = order.seed;
  s.cluster.replicas = order.replicas;
  const bool recorded = replays_times(s);
  if (!recorded || order.rate <= 0) s.workload.requests = order.requests;
  set_rate(s, order.rate);
  const Workload workload = rows ? drawn_from(*rows, s) : workload_of(s);
  SimulationOptions options;
  options.trace = options.full_timeline = order.with_limits;
  const RunResult run = simulate(s, workload, options);
  const SloBounds slo = slo_bounds(s);
  const Summary summary = summarize(run, s.hardware, slo);

  Trial t;
  std::vector<Judged> judged = judged_requests(run, slo);
  t.refused =
      1 - static_cast<double>(judged.size()) / static_cast<double>(std::max<std::size_t>(1, run.requests.size()));
  t.requests_per_s = summary.requests_per_s;
  t.output_tokens_per_s = summary.output_tokens_per_s;
  t.prediction = provenance_of(run, summary);
  // Warm-up goes first.
  const std::size_t parts = recorded ? 10 : 2;
  judged.erase(judged.begin(), judged.begin() + static_cast<std::ptrdiff_t>(judged.size() / parts));
  const std::size_t samples = parts - 1;
  for (std::size_t i = 0; i < samples && !judged.empty(); ++i) {
    const std::size_t from = judged.size() * i / samples, to = judged.size() * (i + 1) / samples;
    const auto good =
        std::count_if(judged.begin() + static_cast<std::ptrdiff_t>(from),
                      judged.begin() + static_cast<std::ptrdiff_t>(to), [](const Judged& j) { return j.good; });
    t.judged = static_cast<std::int64_t>(to - from);
    if (to > from) t.samples.push_back(static_cast<double>(good) / static_cast<double>(to - from));
  }
  t.ttft = percentile_of(judged, &Judged::ttft, percentile);
  t.tpot = percentile_of(judged, &Judged::tpot, percentile);
  t.e2el = percentile_of(judged, &Judged::e2el, percentile);
  if (order.with_limits) {
    LimitFacts facts;
    facts.max_num_seqs = s.engine.scheduler.max_num_seqs;
    facts.ridge_tokens = ridge_tokens(s);
    facts.slo = slo;
    t.limits = limits_of(run, facts);
  }
  return t;
}

}  // namespace headroom
