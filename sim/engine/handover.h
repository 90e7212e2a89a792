// Disaggregated serving: prompts are computed by one pool of replicas, outputs by another, and the KV of each prompt
// moves from one to the other over the links of the cluster (SEMANTICS 4.2).
//
//   pull            The prompt is computed; then a decode replica takes blocks for it when it has them, and fetches.
//                   (DistServe; vLLM's NIXL connector)
//   push            A decode replica takes the blocks first; then the prompt is computed, and sent. (SGLang)
//   push-layerwise  As push, but each layer's KV is sent while the layers behind it compute. (Splitwise)
//
// The first token is the prefill replica's; the transfer shows in the second. Blocks of the prompt that the decode
// replica has in its own prefix cache do not move. The prefill replica keeps its blocks until the last byte has
// arrived, so a full decode pool holds up the prefill pool. A request of one token ends where its prompt was computed.
//
// Layer by layer, L layers in a step of T seconds: the KV of all but the last layer may leave from T/L on, the last
// layer's when the step ends. On an idle link of bandwidth B, K bytes are then visible for
//   max(K/(L B), K/B - T (L-1)/L)
// which is SEMANTICS 4.2. Each rank sends its part to the rank of the same number.
//
// A state machine: the owner of the calendar asks next_event(), calls advance(), and tells it what replicas did and
// what has arrived.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <queue>
#include <unordered_map>
#include <vector>

#include "sim/config/scenario.h"
#include "sim/engine/replica.h"
#include "sim/engine/router.h"
#include "sim/metrics/run_result.h"
#include "sim/network/platform.h"
#include "sim/network/traffic.h"

namespace headroom {

class Handover {
 public:
  static constexpr double kNever = Replica::kNever;
  using Replicas = std::vector<std::unique_ptr<Replica>>;

  // `replicas`: the prefill pool, then the decode pool; `outstanding` of each, kept here.
  // Ships over `traffic` as its own owner, kOwner; the caller brings arrivals back.
  Handover(const Scenario& scenario, const Workload& workload, Replicas& replicas,
           std::vector<std::int64_t>& outstanding, const Platform& platform, Traffic& traffic);
  static constexpr std::uint64_t kOwner = ~std::uint64_t{0};

  // A request comes. Adds to `touched` the replicas whose next event may have changed, as all calls here do.
  void arrive(std::uint32_t request, double time, std::vector<std::size_t>& touched);
  // What replica `index` has done since the last call: requests that wait for KV, prompts computed.
  void collect(std::size_t index, double time, std::vector<std::size_t>& touched);
  // When a piece of KV becomes available that nothing else waits for.
  double next_event() const { return alarms_.empty() ? kNever : alarms_.top().time; }
  void advance(double time, std::vector<std::size_t>& touched);  // what is available by then
  // links -> prefill replica: a piece of this request's KV has arrived.
  void arrived_piece(std::uint32_t request, double time, std::vector<std::size_t>& touched);

  // Those that have arrived, in order of arrival.
  std::vector<KvTransfer> take_transfers() { return std::move(transfers_); }

 private:
  struct Piece {  // of the KV of a prompt, on one rank
    double available;
    Bytes bytes;
  };
  struct Passage {  // a request between the pools
    KvTransfer record;
    SequenceId at_source{}, at_target{};
    bool computed = false;            // its whole prompt
    std::int64_t past_blocks = 0;     // which the target has of its own
    std::int64_t offered_blocks = 0;  // whose sending has been arranged, those included
    std::deque<Piece> pieces;         // to be sent one after the other
    bool moving = false;              // a piece is on its way
  };
  struct Alarm {  // a piece becomes available
    double time;
    std::uint32_t request;
    friend bool operator>(const Alarm& a, const Alarm& b) {
      return a.time != b.time ? a.time > b.time : a.request > b.request;
    }
  };

  void reserve(std::uint32_t request, double time, std::vector<std::size_t>& touched);
  void compute(std::uint32_t request, double time, std::vector<std::size_t>& touched);
  void offer(Passage& passage, std::int64_t blocks, double from, double until);
  void send_next(std::uint32_t request, double time, std::vector<std::size_t>& touched);
  void arrived(std::uint32_t request, double time, std::vector<std::size_t>& touched);
  std::int64_t blocks_of(std::uint32_t request) const;
  std::size_t target_of(std::uint32_t request);

  const Workload& workload_;
  Replicas& replicas_;
  std::vector<std::int64_t>& outstanding_;
  KvTransferMode mode_;
  std::size_t sources_;
  std::int64_t block_tokens_, layers_;
  Bytes block_;  // on one rank
  Router prefill_router_, decode_router_;
  const Platform& platform_;
  Traffic& traffic_;
  std::vector<std::vector<std::int64_t>> gpus_;  // of each replica
  std::unordered_map<std::uint32_t, Passage> passages_;
  std::priority_queue<Alarm, std::vector<Alarm>, std::greater<>> alarms_;
  std::vector<KvTransfer> transfers_;
};

}  // namespace headroom
