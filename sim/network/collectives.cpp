#include "sim/network/collectives.h"

#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace headroom {

std::vector<Route> collective_round(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                                    const std::vector<std::int64_t>& gpus) {
  const BytesPerSecond reduce = node.all_reduce_bandwidth.value_or(BytesPerSecond{0});
  const BytesPerSecond bound = kind == CollectiveKind::kAllReduce ? reduce : node.all_gather_bandwidth.value_or(reduce);
  std::vector<Route> messages;
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    const std::int64_t next = gpus[(i + 1) % gpus.size()];
    Route route = platform.collective_route(platform.gpu(gpus[i]), platform.gpu(next));
    route.latency = Seconds{0};
    if (bound.rate() > 0) route.at_most = bound;
    messages.push_back(std::move(route));
  }
  return messages;
}

CollectiveLink collective_link(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                               const std::vector<std::int64_t>& gpus) {
  if (gpus.size() < 2) return {BytesPerSecond{std::numeric_limits<double>::max()}, Seconds{0}};
  std::set<std::int64_t> machines;
  for (const std::int64_t gpu : gpus) machines.insert(platform.gpu(gpu).machine);
  const auto further = static_cast<double>(machines.size() - 1);
  const double hops = kind == CollectiveKind::kAllReduce ? 2 * std::ceil(std::log2(further + 1)) : further;
  return {platform.slowest_of(collective_round(node, platform, kind, gpus)),
          node.collective_latency.value_or(Seconds{0}) + hops * node.network_latency};
}

}  // namespace headroom
