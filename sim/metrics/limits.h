// What a run's ledgers say about its limits: where time went, and what waiting requests waited for.
//
// Needs a run with a full timeline and a trace of steps (SimulationOptions).
#pragma once

#include <string_view>

#include "sim/metrics/run_result.h"
#include "sim/metrics/summary.h"

namespace headroom {

struct LimitFacts {
  std::int64_t max_num_seqs = 1;
  double ridge_tokens = 1;  // tokens in a step from which its products are bound by arithmetic, not by weights
  SloBounds slo;
};

// Fractions of all replicas' time. The first five add up to 1.
struct Limits {
  double compute = 0;        // steps of more tokens than the ridge
  double bandwidth = 0;      // the others
  double communication = 0;  // of tensor parallelism
  double host = 0;           // the GPU waits for the host
  double idle = 0;           // nothing to do
  // While requests wait: because the pool is full, because max_num_seqs are running, or because the tokens of the
  // steps before them are computed first.
  double waits_for_kv = 0, waits_for_batch = 0, waits_for_tokens = 0;
  double kv_used = 0;  // time average of the pool that running requests hold
  double preemptions_per_request = 0;
  // Requests that miss each bound, of those that could be served.
  double misses_ttft = 0, misses_tpot = 0, misses_e2el = 0;
  double late_in_queue = 0;  // of those that miss TTFT: the queue took most of it
};

Limits limits_of(const RunResult& run, const LimitFacts& facts);

// "KV memory", "batch limit", "compute", "bandwidth", "host" or "communication": what to have more of.
std::string_view binding(const Limits& limits);

}  // namespace headroom
