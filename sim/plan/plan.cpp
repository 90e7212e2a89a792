// The search for one candidate:
//
//   all requests at once give its highest throughput, a first guess of what it carries. From there rates are doubled or
//   halved until one is shown to meet the bounds and one is not, then the gap is halved (on a logarithmic scale) down
//   to 2 %. A rate is tried with 4 seeds, then more up to 16, until a Student-t bound on the mean share of good
//   requests lies on one side of the percentile; one that stays undecided does not count as met. Where a trace's
//   arrivals are drawn its requests are drawn too, from all over it. A trace at its own times is one run whatever the
//   seed: there the nine tenths after its first take the place of seeds.
#include "sim/plan/plan.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include "sim/engine/slo_bounds.h"
#include "sim/output/progress.h"
#include "sim/plan/candidates.h"
#include "sim/plan/trial.h"
#include "sim/sweep/workers.h"

namespace headroom {
namespace {

constexpr double kTolerance = 1.02;  // between a rate that is met and one that is not
constexpr std::size_t kFewestSeeds = 4, kMostSeeds = 16;
constexpr std::int64_t kMostSimulatedReplicas = 16;
constexpr std::int64_t kMostRequests = 200'000;
constexpr double kBoundsPerRun = 25;  // a run lasts at least so many times the longest bound

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// How far below (or above) the mean of the samples the true mean may lie. Samples that agree to the last bit say
// nothing of their spread; then the requests behind them do, as independent draws.
double uncertainty(const std::vector<double>& samples, std::int64_t judged, double confidence) {
  const auto n = static_cast<double>(samples.size());
  const double mean = mean_of(samples);
  double squares = 0;
  for (const double x : samples) squares += (x - mean) * (x - mean);
  if (samples.size() > 1 && squares > 0) {
    const boost::math::students_t law(n - 1);
    return boost::math::quantile(law, confidence / 100) * std::sqrt(squares / (n - 1) / n);
  }
  const double draws = n * static_cast<double>(judged);
  return mean - boost::math::binomial::find_lower_bound_on_p(draws, mean * draws, 1 - confidence / 100);
}

class Planner {
 public:
  Planner(const std::string& file, const PlanOptions& options, Shelf& shelf)
      : options_(options),
        candidates_(load_candidates(file, options, shelf)),
        workers_(options.jobs, [this](const auto& order) { return work(order); }) {}

  PlanReport make() {
    PlanReport report;
    report.percentile = options_.percentile;
    report.confidence = options_.confidence;
    report.rate = options_.rate;
    report.fewest_gpus = options_.fewest_gpus;
    report.latency = options_.latency;
    PointProgress progress(0, candidates_.size(), !options_.quiet && stderr_is_terminal());
    try_at_once();
    std::size_t searched = 0;
    double best = std::numeric_limits<double>::infinity();
    for (const std::size_t i : promising_first()) {
      Candidate& c = candidates_[i];
      report.name = c.scenario.name;
      report.slo = slo_bounds(c.scenario);
      if (least_price(c) > best)
        c.report.at_least = least_price(c);
      else
        search(i);
      if (c.report.replicas > 0) best = std::min(best, price(c.report, c.report.replicas));
      if (!options_.latency.empty()) add_pareto(i, report.pareto);
      progress.update(++searched, 0);
    }
    progress.finish();
    rank(report);
    return report;
  }

 private:
  // --- trials, in the workers ---
  std::optional<std::string> work(const std::string& text) const {
    const TrialOrder order = order_from(text);
    try {
      const Candidate& c = candidates_[order.candidate];
      return "T" + packed(run_trial(c.scenario, c.recorded, order, options_.percentile));
    } catch (const std::exception& error) {
      return "E" + std::string(error.what());
    }
  }

  std::vector<Trial> run(const std::vector<TrialOrder>& orders) {
    std::map<std::string, std::size_t> places;
    std::vector<Trial> trials(orders.size());
    std::size_t given = 0, done = 0;
    while (done < orders.size()) {
      for (; given < orders.size() && workers_.idle() > 0; ++given) {
        std::string text = packed(orders[given]);
        places[text] = given;
        workers_.give(std::move(text));
      }
      for (const Workers::Answer& answer : workers_.wait(std::chrono::milliseconds(-1))) {
        if (!answer.death.empty()) throw std::runtime_error("a worker " + answer.death);
        if (answer.text.front() == 'E') throw std::runtime_error(answer.text.substr(1));
        trials[places.at(answer.order)] = trial_from(answer.text.substr(1));
        ++done;
      }
    }
    return trials;
  }

  TrialOrder order(std::size_t i, double rate, std::uint64_t seed, std::int64_t replicas = 1) const {
    return {i, rate, seed, replicas, requests_for(candidates_[i], rate, replicas), false};
  }

  // Enough for a queue that grows by 2 % of the arrivals to show, and for batches to fill.
  std::int64_t requests_for(const Candidate& c, double rate, std::int64_t replicas) const {
    if (options_.requests > 0) return std::min(options_.requests * replicas, kMostRequests);
    const std::int64_t least = std::clamp<std::int64_t>(c.scenario.workload.requests, 1000, 5000) * replicas;
    const SloBounds slo = slo_bounds(c.scenario);
    const double longest = std::max({slo.ttft, slo.e2el, slo.tpot * c.mean_output});
    const auto wanted = static_cast<std::int64_t>(rate * longest * kBoundsPerRun);
    return std::min(std::max(least, wanted), kMostRequests);
  }

  bool met(std::size_t i, double rate, std::int64_t replicas, RateEvidence& e) {
    const bool recorded = replays_times(candidates_[i].scenario);
    const double wanted = options_.percentile / 100;
    std::vector<double> samples, output;
    std::int64_t judged = 0;
    for (std::size_t seeds = kFewestSeeds;; seeds = std::min(2 * seeds, kMostSeeds)) {
      std::vector<TrialOrder> orders;
      const std::uint64_t first = candidates_[i].scenario.seed + output.size();
      for (std::size_t k = output.size(); k < (recorded ? 1 : seeds); ++k)
        orders.push_back(order(i, rate, first + k - output.size(), replicas));
      for (const Trial& trial : run(orders)) {
        samples.insert(samples.end(), trial.samples.begin(), trial.samples.end());
        output.push_back(trial.output_tokens_per_s);
        judged = trial.judged;
      }
      if (samples.empty()) {  // every request is too long
        e = {rate, 0, 0, 0, 0, 0};
        return false;
      }
      const double mean = mean_of(samples), either_way = uncertainty(samples, judged, options_.confidence);
      e = {rate,
           mean,
           std::max(0.0, mean - either_way),
           std::min(1.0, mean + either_way),
           static_cast<std::int64_t>(samples.size()),
           mean_of(output)};
      if (e.low >= wanted) return true;
      if (e.high < wanted || recorded || seeds == kMostSeeds) return false;
    }
  }

  // What each candidate completes when all requests are there from the start: it carries no more than that.
  void try_at_once() {
    std::vector<TrialOrder> orders;
    for (std::size_t i = 0; i < candidates_.size(); ++i)
      if (candidates_[i].report.problem.empty()) orders.push_back(order(i, 0, candidates_[i].scenario.seed));
    const std::vector<Trial> trials = run(orders);
    for (std::size_t k = 0; k < orders.size(); ++k) {
      Candidate& c = candidates_[orders[k].candidate];
      c.report.refused = trials[k].refused;
      c.report.prediction = trials[k].prediction;
      c.saturated = trials[k].requests_per_s;
      if (c.saturated <= 0)
        c.report.problem = "no request could be served";
      else
        c.mean_output = trials[k].output_tokens_per_s / trials[k].requests_per_s;
    }
  }

  // For a rate: what is to be least. 0 without one: then every candidate is searched.
  double price(const PlanCandidate& c, std::int64_t replicas) const {
    const auto gpus = static_cast<double>(replicas * c.gpus_per_replica);
    return options_.rate <= 0 ? 0 : options_.fewest_gpus ? gpus : gpus * c.usd_per_gpu_hour;
  }
  double least_price(const Candidate& c) const {
    return price(c.report, static_cast<std::int64_t>(std::ceil(options_.rate / c.saturated)));
  }
  std::vector<std::size_t> promising_first() const {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < candidates_.size(); ++i)
      if (candidates_[i].report.problem.empty()) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return least_price(candidates_[a]) < least_price(candidates_[b]);
    });
    return order;
  }

  void search(std::size_t i) {
    Candidate& c = candidates_[i];
    PlanCandidate& r = c.report;
    double rate = 0.8 * c.saturated;
    while (rate >= c.saturated / 4096 && rate <= 4 * c.saturated) {
      RateEvidence e;
      (met(i, rate, 1, e) ? r.most : r.too_much) = e;
      if (r.most.rate > 0 && r.too_much.rate > 0) {
        if (r.too_much.rate <= kTolerance * r.most.rate) break;
        rate = std::sqrt(r.most.rate * r.too_much.rate);
      } else {
        rate = r.most.rate > 0 ? 1.25 * rate : 0.5 * rate;
      }
    }
    TrialOrder last = order(i, r.too_much.rate > 0 ? r.too_much.rate : r.most.rate, c.scenario.seed);
    last.with_limits = true;
    r.limits = run({last}).front().limits;
    if (options_.rate > 0 && r.most.rate > 0) count_replicas(i);
  }

  // As many as carry an even share each; then, simulated together, fewer while that is enough: what comes to one of
  // several replicas in turn comes more evenly than what comes to one alone.
  void count_replicas(std::size_t i) {
    PlanCandidate& r = candidates_[i].report;
    std::int64_t n = static_cast<std::int64_t>(std::ceil(options_.rate / r.most.rate));
    RateEvidence e;
    if (n > 1 && n <= kMostSimulatedReplicas) {
      r.replicas_simulated = true;
      while (!met(i, options_.rate, n, e)) ++n;
      while (n > 1 && met(i, options_.rate, n - 1, e)) --n;
    }
    r.replicas = n;
  }

  void add_pareto(std::size_t i, std::vector<ParetoPoint>& points) {
    const Candidate& c = candidates_[i];
    for (const double share : {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}) {
      const double rate = share * c.saturated;
      std::vector<TrialOrder> orders;
      const std::size_t seeds = replays_times(c.scenario) ? 1 : kFewestSeeds;
      for (std::size_t k = 0; k < seeds; ++k) orders.push_back(order(i, rate, c.scenario.seed + k));
      ParetoPoint p;
      p.candidate = i;
      p.rate = rate;
      for (const Trial& trial : run(orders)) {
        const double latency = options_.latency == "ttft"   ? trial.ttft
                               : options_.latency == "tpot" ? trial.tpot
                                                            : trial.e2el;
        p.latency += latency / static_cast<double>(seeds);
        p.output_tokens_per_s_gpu +=
            trial.output_tokens_per_s / static_cast<double>(c.report.gpus_per_replica) / static_cast<double>(seeds);
      }
      points.push_back(p);
    }
  }

  // Best first, and the front.
  void rank(PlanReport& report) {
    std::vector<std::size_t> order(candidates_.size());
    std::iota(order.begin(), order.end(), 0);
    const auto key = [&](std::size_t i) {
      const PlanCandidate& r = candidates_[i].report;
      const int group = !r.problem.empty() ? 3 : r.at_least > 0 ? 1 : r.most.rate <= 0 ? 2 : 0;
      if (options_.rate <= 0) return std::tuple(group, -r.most.rate, r.usd_per_gpu_hour);
      if (group == 1) return std::tuple(group, r.at_least, r.usd_per_gpu_hour);
      const double money = r.usd_per_hour(), gpus = static_cast<double>(r.gpus());
      return options_.fewest_gpus ? std::tuple(group, gpus, money) : std::tuple(group, money, gpus);
    };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
    std::vector<std::size_t> place(order.size());
    for (std::size_t k = 0; k < order.size(); ++k) {
      place[order[k]] = k;
      report.candidates.push_back(candidates_[order[k]].report);
    }
    std::vector<ParetoPoint>& points = report.pareto;
    for (ParetoPoint& p : points) p.candidate = place[p.candidate];
    std::stable_sort(points.begin(), points.end(), [](const ParetoPoint& a, const ParetoPoint& b) {
      return a.output_tokens_per_s_gpu > b.output_tokens_per_s_gpu;
    });
    double least = std::numeric_limits<double>::infinity();
    for (ParetoPoint& p : points) {
      p.on_front = p.latency < least;
      least = std::min(least, p.latency);
    }
  }

  const PlanOptions& options_;
  std::vector<Candidate> candidates_;
  Workers workers_;  // last: forked when the candidates are loaded
};

}  // namespace

PlanReport make_plan(const std::string& scenario_file, const PlanOptions& options, Shelf& shelf) {
  return Planner(scenario_file, options, shelf).make();
}

}  // namespace headroom
