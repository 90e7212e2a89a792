// What `headroom plan` finds, as text and as JSON. sim/plan fills it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/metrics/limits.h"

namespace headroom {

// A rate that was tried: the share of requests that meet all bounds, over seeds or parts of a trace.
struct RateEvidence {
  double rate = 0;  // requests per second, all replicas together
  double attainment = 0;
  double low = 0, high = 0;  // one-sided bounds at the report's confidence
  std::int64_t samples = 0;
  double output_tokens_per_s = 0;
};

struct PlanCandidate {
  std::vector<std::pair<std::string, std::string>> settings;  // path and value
  std::string problem;                                        // why it could not be tried; empty: it was
  std::int64_t gpus_per_replica = 1;
  double usd_per_gpu_hour = 0;
  std::string prediction;  // what its numbers rest on: measured, fitted, datasheet, mixed
  double refused = 0;      // share of requests too long for the engine, left out of all shares
  // One replica. No rate: not even the lowest meets the bounds.
  RateEvidence most, too_much;  // highest rate shown to meet them, lowest tried that is not; too_much.rate 0: none
  Limits limits;                // of a run at the latter
  std::string flags;            // `vllm serve ...`, empty for other engines
  // For a rate that was asked for.
  double at_least = 0;  // not searched: all its throughput would still cost this (USD/h, or GPUs), more than the best
  std::int64_t replicas = 0;
  bool replicas_simulated = false;  // otherwise: as many as carry the rate at `most.rate` each
  std::int64_t gpus() const { return replicas * gpus_per_replica; }
  double usd_per_hour() const { return static_cast<double>(gpus()) * usd_per_gpu_hour; }
  double usd_per_million_output_tokens() const;
};

struct ParetoPoint {
  std::size_t candidate = 0;
  double rate = 0;  // requests per second, one replica
  double output_tokens_per_s_gpu = 0;
  double latency = 0;     // seconds
  bool on_front = false;  // no other point is better in both
};

struct PlanReport {
  std::string name;
  SloBounds slo;
  double percentile = 99, confidence = 95;
  double rate = 0;                        // asked for; 0: none
  bool fewest_gpus = false;               // what is best: fewest GPUs, else least money
  std::string latency;                    // of the Pareto front: "ttft", "tpot" or "e2el"; empty: none was asked for
  std::vector<PlanCandidate> candidates;  // best first
  std::vector<ParetoPoint> pareto;        // by throughput
  bool met() const { return !candidates.empty() && candidates.front().most.rate > 0; }
};

std::string plan_text(const PlanReport& report, bool colour);
std::string plan_json(const PlanReport& report);

}  // namespace headroom
