#include "sim/network/collectives.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

namespace headroom {

std::vector<Route> collective_round(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                                    const std::vector<std::int64_t>& gpus) {
  const BytesPerSecond reduce = node.all_reduce_bandwidth.value_or(BytesPerSecond{0});
  const BytesPerSecond bound = kind == CollectiveKind::kAllReduce ? reduce : node.all_gather_bandwidth.value_or(reduce);
  const std::size_t others = kind == CollectiveKind::kAllToAll ? gpus.size() - 1 : 1;  // that each rank sends to
  std::vector<Route> messages;
  for (std::size_t i = 0; i < gpus.size(); ++i)
    for (std::size_t other = 1; other <= others; ++other) {
      const std::int64_t to = gpus[(i + other) % gpus.size()];
      Route route = platform.collective_route(platform.gpu(gpus[i]), platform.gpu(to));
      route.latency = Seconds{0};
      if (bound.rate() > 0) route.at_most = BytesPerSecond{bound.rate() / static_cast<double>(others)};
      messages.push_back(std::move(route));
    }
  return messages;
}

CollectiveLink collective_link(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                               const std::vector<std::vector<std::int64_t>>& groups) {
  const std::vector<std::int64_t>& gpus = groups.front();
  if (gpus.size() < 2) return {BytesPerSecond{std::numeric_limits<double>::max()}, Seconds{0}};
  std::vector<Route> round;
  for (const std::vector<std::int64_t>& group : groups) {
    std::vector<Route> messages = collective_round(node, platform, kind, group);
    round.insert(round.end(), std::make_move_iterator(messages.begin()), std::make_move_iterator(messages.end()));
  }
  std::set<std::int64_t> machines;
  for (const std::int64_t gpu : gpus) machines.insert(platform.gpu(gpu).machine);
  const auto further = static_cast<double>(machines.size() - 1);
  const double hops = kind == CollectiveKind::kAllReduce   ? 2 * std::ceil(std::log2(further + 1))
                      : kind == CollectiveKind::kAllGather ? further
                                                           : std::min(further, 1.0);
  const double messages = kind == CollectiveKind::kAllToAll ? static_cast<double>(gpus.size() - 1) : 1;
  return {messages * platform.slowest_of(std::move(round)),
          node.collective_latency.value_or(Seconds{0}) + hops * node.network_latency};
}

CollectiveLink collective_link(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                               const std::vector<std::int64_t>& gpus) {
  return collective_link(node, platform, kind, std::vector<std::vector<std::int64_t>>{gpus});
}

}  // namespace headroom
