// One run for a plan: a candidate's scenario at a rate, and whether its requests meet the bounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/scenario.h"
#include "sim/metrics/limits.h"

namespace headroom {

struct TrialOrder {
  std::size_t candidate = 0;
  double rate = 0;  // requests per second, all replicas together; 0: all requests at once
  std::uint64_t seed = 0;
  std::int64_t replicas = 1;
  std::int64_t requests = 0;
  bool with_limits = false;  // ask the ledgers what binds
};

struct Trial {
  // Shares of requests that meet all bounds: of the run's second half, or of each tenth of a recorded trace but the
  // first. Requests that the engine can never serve are left out, those that it loses count as missed.
  std::vector<double> samples;
  double refused = 0;         // share of requests that are too long for the engine
  std::int64_t judged = 0;    // requests behind each sample
  double requests_per_s = 0;  // completed
  double output_tokens_per_s = 0;
  double ttft = 0, tpot = 0, e2el = 0;  // seconds, at the plan's percentile, of the requests judged
  std::string prediction;               // provenance
  Limits limits;
};

std::string packed(const TrialOrder& order);
TrialOrder order_from(const std::string& text);
std::string packed(const Trial& trial);
Trial trial_from(const std::string& text);

// Arrivals that replay recorded times: there is one such run, whatever the seed.
bool replays_times(const Scenario& scenario);
// Requests per second of the recorded times.
double recorded_rate(const Scenario& scenario);
// Throws ConfigError (at the scenario's file) when the rate of its arrivals cannot be set.
void check_arrivals(const Scenario& scenario);

// The requests of the scenario's trace, all of them, if they are to be drawn from: where arrivals are not the trace's
// own. What a recorded hour began with is not what it was like, so a run takes requests from all over it.
std::optional<Workload> requests_to_draw_from(const Scenario& scenario);

// `recorded`: from requests_to_draw_from().
Trial run_trial(Scenario scenario, const std::optional<Workload>& recorded, const TrialOrder& order, double percentile);

}  // namespace headroom
