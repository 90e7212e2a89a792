// What collectives get out of an idle platform: one round of their messages as flows.
//
// Time grows linearly with the bytes (all_reduce_time(), all_gather_time()), so the rates of one round say all as long
// as nobody else is on the links: the bus bandwidth of SEMANTICS 9.6. Rings are rounds in which every rank sends its
// n-th part to the next, all at the rate of the slowest. An all-to-all is one round in which every rank sends its n-th
// part to every other at once; the slowest message moves at its first rate to the end, since whoever leaves earlier was
// not held back by its links.
//
// The latency is the platform's, fitted to whole collectives of one machine: it hardly grows with n (models/step_time).
// Over several machines hops add up: two for each level of a tree in an all-reduce, one for each further machine in a
// gather, one in all in an all-to-all.
#pragma once

#include <cstdint>
#include <vector>

#include "models/hardware.h"
#include "sim/network/platform.h"

namespace headroom {

enum class CollectiveKind { kAllReduce, kAllGather, kAllToAll };

// The messages of one round between these GPUs. `node`: as the platform's; its bandwidths of collectives bound each
// rank.
std::vector<Route> collective_round(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                                    const std::vector<std::int64_t>& gpus);

// Of groups of equal size that all do the same at once. Nothing (infinite bandwidth, no latency) for one GPU each.
CollectiveLink collective_link(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                               const std::vector<std::vector<std::int64_t>>& groups);
// Of one group.
CollectiveLink collective_link(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                               const std::vector<std::int64_t>& gpus);

}  // namespace headroom
