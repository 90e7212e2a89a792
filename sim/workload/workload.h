// What arrives when: arrival processes, length distributions, traces, shared prefixes, sessions, closed loops.
//
// A workload is drawn in arrival order from independent streams seeded by (scenario seed, source name), so that
// changing one source leaves the draws of the others alone (SEMANTICS 8.1).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/workload/request.h"

namespace headroom {

// --- how lengths are drawn, in tokens; results are rounded to integers and bounded to [min, max] by redrawing ---
struct LengthDistribution {
  enum class Kind { kFixed, kUniform, kLognormal, kNormal, kExponential, kGeometric, kEmpirical };
  Kind kind = Kind::kFixed;
  double mean = 1;                   // fixed value; mean of the law before bounding
  double cv = 0;                     // lognormal, normal: standard deviation / mean
  std::int64_t min = 1;              // uniform: lower end; others: smallest value kept
  std::int64_t max = 0;              // uniform: upper end; others: largest value kept, 0 for none
  std::vector<std::int64_t> values;  // empirical: drawn with replacement
  std::string path = {};             // empirical: the file they stand in
};

// --- when requests arrive ---
struct ArrivalProcess {
  enum class Kind { kPoisson, kGamma, kConstant, kBatch, kOnOff, kClosedLoop, kTrace };
  Kind kind = Kind::kPoisson;
  double rate = 0;          // requests per second; gamma, poisson, constant: mean; on-off: while on
  double burstiness = 1;    // gamma shape, vLLM's word: below 1 burstier, 1 Poisson
  bool exact_rate = false;  // rescale so that the last arrival is at n/rate (vLLM's client)
  double off_rate = 0;      // on-off: requests per second while off
  Seconds on_time;          // on-off: mean sojourns
  Seconds off_time;
  std::int64_t users = 0;          // closed loop
  Seconds think_time;              // closed loop: mean
  bool exponential_think = false;  // closed loop: exponential instead of constant
};

enum class TraceFormat { kAzure, kBurstGpt, kMooncake, kShareGpt, kCsv, kJsonl };

struct TraceSpec {
  TraceFormat format = TraceFormat::kCsv;
  std::string path;                 // resolved; gzip is recognised by its magic bytes
  std::int64_t block_tokens = 512;  // mooncake: tokens behind one prefix hash id
};

struct SharedPrefix {
  std::int64_t tokens = 0;  // length of each system prompt
  std::int64_t count = 1;   // how many different ones, drawn uniformly
  double fraction = 1;      // share of requests that start with one
};

struct SessionSpec {
  LengthDistribution turns;  // turns of one session
  Seconds think_time;        // from the end of an answer to the next question, mean, exponential
};

struct WorkloadSpec {
  std::int64_t requests = 0;  // 0 with a trace: all of it
  ArrivalProcess arrivals;
  double time_scale = 1;  // trace replay: 2 plays it twice as slowly
  LengthDistribution prompt_tokens;
  LengthDistribution output_tokens;
  std::int64_t samples = 1;
  bool over_http = false;   // clients send over HTTP and their clocks count; else they are the engine's own process
  bool top_p = false;       // tokens are sampled from the most probable, as a request without parameters may get
  bool ignore_eos = false;  // outputs end by a limit the engine knows (a benchmark client's flag)
  std::optional<TraceSpec> trace;
  std::optional<SharedPrefix> shared_prefix;
  std::optional<SessionSpec> sessions;
};

struct Workload {
  std::vector<Request> requests;         // sorted by arrival, ids are indices
  std::vector<ContentSegment> segments;  // pool that Request::first_segment points into

  // Requests that arrive only when another has ended: closed loops and later turns of sessions. follow_up[i] is the
  // request that request i's completion triggers, `delay` after it; none: kNoFollowUp. Such requests have arrival
  // Seconds{-1} until triggered.
  static constexpr std::uint32_t kNoFollowUp = 0xffffffff;
  std::vector<std::uint32_t> follow_up;  // empty when there are none
  std::vector<Seconds> follow_up_delay;  // delay before request i once triggered; empty with follow_up

  std::span<const ContentSegment> content(const Request& r) const {
    return std::span(segments).subspan(r.first_segment, r.num_segments);
  }
};

// Draws or reads the workload. Throws WorkloadError (trace_reader.h) with file, line and column for a bad trace.
Workload make_workload(const WorkloadSpec& spec, std::uint64_t seed);

}  // namespace headroom
