// What a finished run knows, before any statistics: one record a request, gaps between tokens, and the ledgers.
//
// The engine fills it; summarize() turns it into the numbers of summary.json. All times in seconds from the start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/hardware.h"
#include "models/memory_plan.h"
#include "models/units.h"
#include "sim/memory/kv_allocator.h"
#include "sim/workload/request.h"

namespace headroom {

enum class RequestStatus : std::uint8_t {
  kFinished,
  kRejected,    // can never run: longer than the engine's limit or than the whole pool
  kOutOfMemory  // its static batch ran out of device memory in mid-generation
};

struct RequestRecord {
  RequestId id{};
  std::uint32_t replica = 0;
  double arrival = 0;
  double scheduled = -1;  // first time in a step; -1: never
  double first_token = -1;
  double finish = -1;  // rejected: when it was refused
  std::int32_t prompt_tokens = 0;
  std::int32_t output_tokens = 0;  // produced, by all samples together
  std::int32_t cached_tokens = 0;  // prompt tokens taken from the prefix cache at first admission
  std::int32_t preemptions = 0;
  std::int32_t samples = 1;
  RequestStatus status = RequestStatus::kFinished;
};

// The KV of one prompt on its way from the replica that computed it to the one that makes the output.
struct KvTransfer {
  RequestId request{};
  std::uint32_t source = 0, target = 0;
  double asked = -1;    // for blocks at the target
  double granted = -1;  // it had them
  double started = -1;  // the first byte's way
  double arrived = -1;  // the last byte
  Bytes bytes;          // of all ranks; what the target had in its own prefix cache does not move
};

// What a link of the cluster has carried.
struct LinkUse {
  std::string name;
  double bytes = 0;
  double bandwidth = 0;  // bytes per second
};

// `sequences` requests that each saw `steps` gaps between consecutive tokens: first, first + slope, ...
struct GapRun {
  double first = 0;
  double slope = 0;
  std::uint32_t steps = 0;
  std::uint32_t sequences = 0;
};

// One moment of one replica: what holds the pool, and the queues. Valid from `time` to the replica's next row.
struct TimelineRow {
  double time = 0;
  std::uint32_t replica = 0;
  SlotUsage slots;            // token slots
  bool head_blocked = false;  // a request waits that cannot be placed: empty slots are external
  std::int32_t running = 0;
  std::int32_t waiting = 0;
};

// A stretch of a replica's time for the Perfetto trace; kept only when a trace is asked for.
struct TraceSpan {
  double start = 0;
  double duration = 0;
  std::uint32_t replica = 0;
  std::int32_t steps = 1;
  std::int32_t decodes = 0;  // sequences decoding
  std::int32_t prefill_tokens = 0;
};

// A tier of host memory behind the prefix cache.
struct HostTierResult {
  std::int64_t loads = 0;       // requests (or samples) that fetched their beginning from it
  std::int64_t hit_tokens = 0;  // that need not be computed for it
  Bytes loaded, stored;         // over the link, per GPU
  Bytes evicted, resident;      // of stored: gone again, still there
  double loading = 0;           // time the link was busy to the GPU, seconds
  double storing = 0;           // and to the host
  double load_wait = 0;         // sum over loads, from the decision to the last byte
  double store_lag = 0;         // longest that a store ended behind the step that computed it
  double recompute = 0;         // sum over loads: the GPU's time for the same tokens
};

struct ReplicaResult {
  std::int64_t steps = 0;
  std::int64_t preemptions = 0;
  double sequence_steps = 0;  // sum over steps of the sequences in it
  std::int64_t max_batch = 0;
  double busy = 0;          // GPU busy, seconds
  double extrapolated = 0;  // of busy: not covered by a measured table, seconds
  double stepping = 0;      // sum of step times, seconds
  // Parts of the GPU's time, and the host's that was not hidden, seconds.
  double gemm = 0, attention = 0, elementwise = 0, cache_copy = 0, communication = 0, host = 0;
  double observed = 0;  // length of the ledgers: the run, and a last step that outlasts it
  SlotSeconds slots;    // integral over it
  double external = 0;  // of slots.empty: while a request waited that could not be placed
  std::int64_t prefix_hit_tokens = 0;
  std::int64_t prefix_query_tokens = 0;
  Bytes kv_peak;
  HostTierResult host_tier;
  Bytes fragmentation_peak;  // most the device allocator held beyond live tensors
};

struct RunResult {
  MemoryPlan memory;  // of one GPU
  std::int64_t gpus = 1;
  double duration = 0;                  // first arrival's clock zero to the last completion
  std::vector<RequestRecord> requests;  // in order of id
  std::vector<GapRun> gaps;
  std::vector<ReplicaResult> replicas;  // with pipeline stages: of each batch in flight
  double pipeline_active = 0;    // stages times seconds in which some batch was under way, all replicas; 0: one stage
  double pipeline_occupied = 0;  // of them: seconds that a stage worked
  double pipeline_sending = 0;   // seconds of hidden states on their way between stages, all batches
  double pipeline_sent = 0;      // bytes of them
  std::vector<KvTransfer> transfers;  // disaggregated: in order of arrival
  std::vector<LinkUse> links;
  std::size_t prefill_replicas = 0;  // the first of replicas; 0: not disaggregated
  std::vector<TimelineRow> timeline;
  std::vector<TraceSpan> trace;
  Evidence evidence = Evidence::kDatasheet;
  std::int64_t events = 0;  // turns of the replicas and arrivals: what the simulator paid for
  double wall = 0;          // seconds of real time
};

}  // namespace headroom
