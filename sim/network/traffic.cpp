#include "sim/network/traffic.h"

#include <algorithm>

namespace headroom {

void Traffic::ship(double now, std::uint64_t owner, std::uint64_t tag, std::span<const Route> routes, double bytes,
                   double begins) {
  const double from = after(now);
  const std::uint64_t shipment = shipped_++;
  shipments_[shipment] = Shipment{owner, tag, routes.size()};
  for (Route route : routes) {
    route.latency += Seconds{std::max(0.0, begins - from)};
    shipment_of_[network_.start(from, bytes, std::move(route))] = shipment;
  }
}

void Traffic::advance(double time) {
  network_.advance(after(time));
  for (const Network::Ended& ended : network_.ended) {
    const auto message = shipment_of_.find(ended.id);
    const auto shipment = shipments_.find(message->second);
    shipment_of_.erase(message);
    if (--shipment->second.messages > 0) continue;
    arrivals.push_back(Arrival{shipment->second.owner, shipment->second.tag, ended.time});
    shipments_.erase(shipment);
  }
  network_.ended.clear();
}

}  // namespace headroom
