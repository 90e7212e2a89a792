// Which transfers of replicas can meet others on a link and fill it, and the steps that wait for them.
//
// Most have their links for themselves, or leave room on them: they take their closed form. Where what two could carry
// at once is more than some link has, all that goes over it is simulated as flows, from the first to the last byte:
//
//   copies of KV      swapped blocks (V0), loads and stores of the host tier: two GPUs behind one uplink, each with its
//                     own engine; a KV move between replicas on the same PCIe link
//   weights           of replicas that each stream all of them (zero_shard_size: 1), and of one that loads KV meanwhile
//   all-reduces       over PCIe, where replicas of an uneven width share an uplink, or KV is copied on the same links
//
// Taken for granted still: what all replicas do together (ZeRO-3's gathers, the all-to-alls of experts) at the rates of
// all at once; pipeline stages; all-reduces beside KV moves between replicas, or while a replica sends KV by layers.
#pragma once

#include <optional>
#include <vector>

#include "models/step_time.h"
#include "sim/config/scenario.h"
#include "sim/engine/step_flows.h"
#include "sim/network/platform.h"

namespace headroom {

// Of one replica. A kind of transfer without routes has its links for itself.
struct SharedTransfers {
  std::vector<Route> swaps_in, swaps_out, loads, stores;  // by rank, each bounded by what it gets alone
  std::vector<Route> all_reduce;                          // messages of a ring
  std::vector<Route> weights, drives;  // `drives`: from there to host memory first, where nothing runs ahead
  Seconds all_reduce_latency;
  std::optional<ZeroWeights> zero;  // what `weights` bring

  bool any() const;
  bool in_steps() const { return !(swaps_in.empty() && swaps_out.empty() && all_reduce.empty() && weights.empty()); }
};

// Whether any of that is possible at all, by a look at the scenario: a run that cannot builds no platform.
bool may_share_links(const Scenario& scenario);
// By replica; empty where no replica has any.
std::vector<SharedTransfers> shared_transfers(const Scenario& scenario, const Platform& platform);

struct StepScript {
  std::vector<FlowUnit> units;
  std::size_t ahead = 0;
};
// A step of `idle` seconds of GPU time on idle links, of which work() says more. `swapped`: bytes on each rank.
StepScript script_of(const SharedTransfers& shared, const StepTimeModel::Work& work, Seconds idle, double swapped,
                     bool inwards, std::int64_t ranks);

}  // namespace headroom
