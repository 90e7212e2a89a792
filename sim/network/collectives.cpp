#include "sim/network/collectives.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace headroom {
namespace {

constexpr std::int64_t kProbe = std::int64_t{1} << 40;  // bytes a message: its time is its bytes' alone

}  // namespace

std::vector<Route> Collectives::round(CollectiveKind kind, const std::vector<std::int64_t>& gpus) const {
  const BytesPerSecond reduce = node_.all_reduce_bandwidth.value_or(BytesPerSecond{0});
  const BytesPerSecond bound =
      kind == CollectiveKind::kAllReduce ? reduce : node_.all_gather_bandwidth.value_or(reduce);
  std::vector<Route> messages;
  const auto send = [&](std::int64_t from, std::int64_t to, double share) {
    Route route = platform_.collective_route(platform_.gpu(from), platform_.gpu(to));
    route.latency = Seconds{0};
    if (bound.rate() > 0) route.at_most = share * bound;
    messages.push_back(std::move(route));
  };
  const std::size_t n = gpus.size();
  for (std::size_t i = 0; i < n; ++i) {
    if (kind != CollectiveKind::kAllToAll) {
      send(gpus[i], gpus[(i + 1) % n], 1);
      continue;
    }
    for (std::size_t j = 0; j < n; ++j)
      if (i != j) send(gpus[i], gpus[j], 1 / static_cast<double>(n - 1));
  }
  return messages;
}

CollectiveLink Collectives::link(CollectiveKind kind, const std::vector<std::int64_t>& gpus) {
  if (gpus.size() < 2) return {BytesPerSecond{std::numeric_limits<double>::max()}, Seconds{0}};
  const auto [at, fresh] = known_.try_emplace({kind, gpus});
  if (!fresh) return at->second;
  Network network = platform_.idle();
  std::vector<TransferId> messages;
  for (Route& message : round(kind, gpus)) messages.push_back(network.start(0, Bytes{kProbe}, std::move(message)));
  double message_rate = std::numeric_limits<double>::max();
  for (const TransferId message : messages) message_rate = std::min(message_rate, network.rate(message).rate());
  if (kind == CollectiveKind::kAllToAll) {  // messages behind a slow link have it to themselves later
    network.advance(Network::kNever);
    message_rate = static_cast<double>(kProbe) / network.ended.back().time;
  }
  const auto others = static_cast<double>(gpus.size() - 1);
  CollectiveLink& link = at->second;
  // In an all-to-all each rank has as many messages under way as there are others.
  link.bandwidth = BytesPerSecond{message_rate * (kind == CollectiveKind::kAllToAll ? others : 1)};
  std::set<std::int64_t> machines;
  for (const std::int64_t gpu : gpus) machines.insert(platform_.gpu(gpu).machine);
  const auto further = static_cast<double>(machines.size() - 1);
  const double hops = kind == CollectiveKind::kAllReduce ? 2 * std::ceil(std::log2(further + 1)) : further;
  link.latency = node_.collective_latency.value_or(Seconds{0}) + hops * node_.network_latency;
  return link;
}

Seconds collective_time(CollectiveKind kind, std::int64_t ranks, double bytes, const CollectiveLink& link) {
  if (ranks < 2) return Seconds{0};
  const auto n = static_cast<double>(ranks);
  const double times = kind == CollectiveKind::kAllReduce ? 2 : 1;
  return link.latency + Seconds{times * (n - 1) / n * bytes / link.bandwidth.rate()};
}

}  // namespace headroom
