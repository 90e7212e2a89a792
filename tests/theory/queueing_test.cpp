// The simulator against queueing theory. One replica, one seat, and a step that costs a constant 1 ms, so that a
// request of n output tokens is served for n ms. Bounds are four standard errors by batch means, and must be tight
// themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"

namespace headroom {
namespace {

struct Outcome {
  Workload workload;
  RunResult result;
};

Outcome run(std::vector<std::string> settings, std::uint64_t seed = 1) {
  LoadOptions options;
  options.overrides = {"engine.max_num_seqs=1", "engine.host.per_step=1 ms", "engine.host.per_sequence=0 us",
                       "workload.prompt_tokens=1", "workload.ignore_eos=true"};
  options.overrides.insert(options.overrides.end(), settings.begin(), settings.end());
  options.seed = seed;
  const ScenarioFile file = load_scenario(HEADROOM_SOURCE_DIR "/tests/support/base.yaml", options);
  const Scenario& scenario = file.variants.front().second;
  Outcome r;
  r.workload = workload_of(scenario);
  r.result = simulate(scenario, r.workload);
  return r;
}

struct Estimate {
  double mean = 0;
  double error = 0;  // standard error by batch means
};

// The first batch is warm-up.
template <class Of>
Estimate by_batches(const std::vector<RequestRecord>& records, Of of, std::size_t batches = 50) {
  const std::size_t size = records.size() / (batches + 1);
  std::vector<double> means;
  for (std::size_t b = 1; b <= batches; ++b) {
    double sum = 0;
    for (std::size_t i = 0; i < size; ++i) sum += of(records[b * size + i]);
    means.push_back(sum / static_cast<double>(size));
  }
  Estimate e;
  for (const double m : means) e.mean += m / static_cast<double>(batches);
  double squares = 0;
  for (const double m : means) squares += (m - e.mean) * (m - e.mean);
  e.error = std::sqrt(squares / static_cast<double>(batches - 1) / static_cast<double>(batches));
  return e;
}

double waited(const RequestRecord& r) {
  return r.scheduled - r.arrival;
}
double stayed(const RequestRecord& r) {
  return r.finish - r.arrival;
}

void expect_agrees(const Estimate& e, double theory, double tightness) {
  EXPECT_LT(std::abs(e.mean - theory), 4 * e.error + 1e-6) << e.mean << " +- " << e.error << ", theory " << theory;
  EXPECT_LT(4 * e.error, tightness * theory) << "the test has no power";
}

TEST(Queueing, ConstantServiceIsMD1) {
  for (const double rho : {0.3, 0.7}) {
    SCOPED_TRACE(rho);
    const double service = 0.1;
    const Outcome r = run({"workload.requests=600000", "workload.output_tokens=100",
                           "workload.arrivals={process: poisson, rate: " + std::to_string(rho / service) + "/s}"});
    expect_agrees(by_batches(r.result.requests, waited), rho * service / (2 * (1 - rho)), 0.03);
  }
}

TEST(Queueing, ExponentialServiceIsMM1) {
  for (const double rho : {0.5}) {
    SCOPED_TRACE(rho);
    // Geometric lengths of mean 500: exponential to within the length of one token.
    const double service = 0.5;
    const Outcome r = run({"workload.requests=900000", "workload.output_tokens={distribution: geometric, mean: 500}",
                           "engine.max_num_seqs=1",
                           "workload.arrivals={process: poisson, rate: " + std::to_string(rho / service) + "/s}"});
    double mean = 0, finished = 0;
    for (const Request& q : r.workload.requests) mean += static_cast<double>(q.output_tokens);
    for (const RequestRecord& q : r.result.requests) finished += q.status == RequestStatus::kFinished;
    mean /= static_cast<double>(r.workload.requests.size());
    EXPECT_NEAR(mean, 500, 2);
    // Those longer than the engine's limit are refused and serve nobody: exp(-4096/500) of them.
    EXPECT_GT(finished, 0.999 * static_cast<double>(r.result.requests.size()));
    expect_agrees(by_batches(r.result.requests,
                             [&](const RequestRecord& q) {
                               return q.status == RequestStatus::kFinished ? stayed(q) : service / (1 - rho);
                             }),
                  service / (1 - rho), 0.05);
  }
}

TEST(Queueing, AnyServiceFollowsPollaczekKhinchine) {
  const double rate = 3;
  const Outcome r = run({"workload.requests=900000",
                         "workload.output_tokens={distribution: lognormal, mean: 150, cv: 0.8, max: 2000}",
                         "workload.arrivals={process: poisson, rate: 3/s}"});
  double first = 0, second = 0;
  for (const Request& q : r.workload.requests) {
    const double service = 1e-3 * static_cast<double>(q.output_tokens);
    first += service;
    second += service * service;
  }
  const auto n = static_cast<double>(r.workload.requests.size());
  const double rho = rate * first / n;
  expect_agrees(by_batches(r.result.requests, waited), rate * second / n / (2 * (1 - rho)), 0.03);
}

TEST(Queueing, ClosedLoopThroughputIsUsersOverCycle) {
  // X = N / (R + Z), an identity: R is what the run itself measured.
  const Outcome r = run({"workload.requests=20000", "workload.output_tokens=50", "engine.max_num_seqs=4",
                         "workload.arrivals={process: closed-loop, users: 6, think_time: 100 ms}"});
  double response = 0;
  for (const RequestRecord& q : r.result.requests)
    response += stayed(q) / static_cast<double>(r.result.requests.size());
  const double throughput = static_cast<double>(r.result.requests.size()) / r.result.duration;
  EXPECT_NEAR(throughput, 6 / (response + 0.1), 0.002 * throughput);
  // Four seats of 50 ms each bound it; one user alone would make 1 / (50 ms + 100 ms).
  EXPECT_LE(throughput, 4 / 0.05 * 1.001);
  EXPECT_GT(throughput, 1 / 0.15);
}

TEST(Queueing, LittlesLawHoldsInEveryRun) {
  for (const char* preset :
       {"vllm-v1-2025", "vllm-v1-2026", "vllm-v0", "sarathi", "orca", "hf-generate", "hf-continuous"}) {
    SCOPED_TRACE(preset);
    const Outcome r = run({std::string("engine.preset=") + preset, "engine.max_num_seqs=8", "workload.requests=5000"});
    // Time average of the number in the system from the ends of all stays, against rate times mean stay.
    std::vector<std::pair<double, int>> changes;
    double stays = 0;
    for (const RequestRecord& q : r.result.requests) {
      changes.emplace_back(q.arrival, 1);
      changes.emplace_back(q.finish, -1);
      stays += stayed(q);
    }
    std::sort(changes.begin(), changes.end());
    double area = 0, last = 0;
    int inside = 0;
    for (const auto& [time, change] : changes) {
      area += inside * (time - last);
      last = time;
      inside += change;
    }
    EXPECT_EQ(inside, 0);
    EXPECT_NEAR(area / r.result.duration,
                static_cast<double>(r.result.requests.size()) / r.result.duration *
                    (stays / static_cast<double>(r.result.requests.size())),
                1e-6 * area / r.result.duration);
  }
}

TEST(Speculation, TokensPerStepAreLeviathans) {
  // E = (1 - a^(g+1)) / (1 - a) tokens a step of constant length; with n-grams in a share of the steps, 1 in the
  // others.
  struct {
    const char* config;
    double expected;
  } cases[] = {{"{method: eagle, num_speculative_tokens: 3, acceptance_rate: 0.6}", (1 - std::pow(0.6, 4)) / 0.4},
               {"{method: draft-model, model: " HEADROOM_SOURCE_DIR
                "/tests/support/tiny.yaml, num_speculative_tokens: 5, acceptance_rate: 0.8}",
                (1 - std::pow(0.8, 6)) / 0.2},
               {"{method: ngram, num_speculative_tokens: 4, acceptance_rate: 0.5, found_fraction: 0.25}",
                0.75 + 0.25 * (1 - std::pow(0.5, 5)) / 0.5}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.config);
    const Outcome r = run({"workload.requests=40", "workload.output_tokens=4000", "engine.max_num_seqs=8",
                           std::string("engine.speculative_config=") + c.config});
    double time = 0, tokens = 0;
    for (const RequestRecord& q : r.result.requests) {
      ASSERT_EQ(q.status, RequestStatus::kFinished);
      time += q.finish - q.first_token;
      tokens += q.output_tokens - 1;
    }
    EXPECT_NEAR(tokens / time * 1e-3, c.expected, 0.02 * c.expected);
  }
}

}  // namespace
}  // namespace headroom
