// What collectives get out of a platform: simulated once as flows, and remembered.
//
// Time grows linearly with the bytes, so one simulation of each (kind, GPUs) says all as long as nobody else is on the
// links: the bus bandwidth B of SEMANTICS 9.6. Rings are rounds in which every rank sends S/n to the next, all at
// the rate of the slowest. An all-to-all is n (n-1) messages of S/n at once.
//
//   all-reduce                            t = latency + 2 (n-1)/n S/B
//   reduce-scatter, all-gather, all-to-all t = latency +   (n-1)/n S/B
//
// The latency is the platform's, fitted to whole collectives of one machine: it hardly grows with n (models/step_time).
// Over several machines hops add up: two for each level of a tree in an all-reduce, one for each further machine else.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "models/hardware.h"
#include "sim/network/platform.h"

namespace headroom {

enum class CollectiveKind { kAllReduce, kAllGather, kAllToAll };

class Collectives {
 public:
  // `node`: as the platform's; its bandwidths of collectives bound each message.
  Collectives(const NodeProfile& node, const Platform& platform) : node_(node), platform_(platform) {}

  // Between these GPUs, on an idle platform. Nothing (infinite bandwidth, no latency) for one.
  CollectiveLink link(CollectiveKind kind, const std::vector<std::int64_t>& gpus);

  // The messages of one round, or of an all-to-all.
  std::vector<Route> round(CollectiveKind kind, const std::vector<std::int64_t>& gpus) const;

 private:
  const NodeProfile& node_;
  const Platform& platform_;
  std::map<std::pair<CollectiveKind, std::vector<std::int64_t>>, CollectiveLink> known_;
};

// Time of a collective of `bytes` a rank over `ranks`, by the forms above.
Seconds collective_time(CollectiveKind kind, std::int64_t ranks, double bytes, const CollectiveLink& link);

}  // namespace headroom
