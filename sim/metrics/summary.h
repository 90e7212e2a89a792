// The statistics of a run (SEMANTICS 8.2), as summary.json names them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/hardware.h"
#include "sim/metrics/run_result.h"

namespace headroom {

struct Distribution {
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
  std::int64_t count = 0;  // 0: no value was there, all others are 0
};

// numpy's default percentile (linear interpolation between closest ranks). `sorted` ascending, q in [0, 100].
double percentile(std::span<const double> sorted, double q);
// Reorders `values`.
Distribution distribution_of(std::vector<double>& values);
// The pooled gaps, exactly as if each run were written out value by value and sequence by sequence.
Distribution distribution_of(std::span<const GapRun> gaps);

struct SloBounds {
  double ttft = -1, tpot = -1, e2el = -1;  // seconds; negative: not asked for
};

struct WasteFractions {
  double token_states = 0, reservation = 0, internal = 0, external = 0, padding = 0, cached = 0, free = 0;
};

// One pool of a disaggregated run.
struct PoolSummary {
  std::int64_t replicas = 0, steps = 0, max_batch = 0, preemptions = 0;
  double mean_batch = 0, busy_fraction = 0;
  double held_fraction = 0;  // of its KV slots, time average: referenced by sequences, those on their way included
  Bytes kv_peak;
};

struct TransferSummary {
  std::int64_t count = 0;
  Bytes bytes;
  Distribution time;     // from the first byte's start to the last one's arrival
  Distribution waiting;  // of the decode side for blocks
};

struct Summary {
  double duration = 0;
  std::int64_t submitted = 0, completed = 0, rejected = 0, preempted = 0;  // preempted: requests, at least once
  double requests_per_s = 0, output_tokens_per_s = 0, total_tokens_per_s = 0;
  Distribution ttft, tpot, itl, e2el, queue, normalized;
  double goodput_requests_per_s = 0, goodput_fraction = 0;
  std::int64_t steps = 0, preemptions = 0, max_batch = 0;
  double mean_batch = 0, prefix_cache_hit_rate = 0;
  Bytes kv_peak;
  WasteFractions waste;      // time averages over the pool, all replicas; add up to 1
  HostTierResult host_tier;  // of all replicas, one GPU of each; lag: the longest
  std::optional<PoolSummary> prefill, decode;
  TransferSummary transfers;
  double busy_fraction = 0, energy_joules = 0;
  double usd = 0, usd_per_million_output_tokens = 0;
  double extrapolated_time_fraction = 0;
};

Summary summarize(const RunResult& run, const HardwareProfile& hardware, const SloBounds& slo);

}  // namespace headroom
