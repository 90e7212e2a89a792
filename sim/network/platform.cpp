#include "sim/network/platform.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>

namespace headroom {

Platform::Platform(const NodeProfile& node, std::int64_t machines) : node_(node) {
  const BytesPerSecond port = std::max(node.all_reduce_bandwidth.value_or(BytesPerSecond{0}),
                                       node.all_gather_bandwidth.value_or(BytesPerSecond{0}));
  for (std::int64_t m = 0; m < machines; ++m) {
    Machine& machine = of_.emplace_back();
    const std::string name = "machine" + std::to_string(m);
    const auto both = [&](const std::string& link, BytesPerSecond rate, std::vector<LinkId>& up,
                          std::vector<LinkId>& down) {
      up.push_back(links_.add(name + "." + link + ".up", rate));
      down.push_back(links_.add(name + "." + link + ".down", rate));
    };
    for (std::int64_t g = 0; g < node.gpus; ++g) {
      const std::string gpu = "gpu" + std::to_string(g);
      if (!node.peers_over_pcie) both(gpu + ".port", port, machine.port_out, machine.port_in);
      both(gpu + ".pcie", node.host_link, machine.pcie_up, machine.pcie_down);
      if (node.gpus_per_uplink > 1 && g % node.gpus_per_uplink == 0)
        both("uplink" + std::to_string(g / node.gpus_per_uplink), node.host_link, machine.uplink_up,
             machine.uplink_down);
    }
    machine.card_out = links_.add(name + ".network.out", node.network_bandwidth);
    machine.card_in = links_.add(name + ".network.in", node.network_bandwidth);
    machine.drives = links_.add(name + ".drives", node.nvme);
  }
}

std::vector<std::int64_t> Platform::gpus_of(std::int64_t width, std::int64_t index) const {
  const std::int64_t together = node_.gpus / width;  // instances on one machine
  const std::int64_t first = together > 0 ? index / together * node_.gpus + index % together * width
                                          : index * ceil_div(width, node_.gpus) * node_.gpus;
  std::vector<std::int64_t> gpus(static_cast<std::size_t>(width));
  std::iota(gpus.begin(), gpus.end(), first);
  return gpus;
}

std::int64_t Platform::machines_for(std::int64_t gpus_a_machine, std::int64_t width, std::int64_t instances) {
  const std::int64_t together = gpus_a_machine / width;
  return together > 0 ? ceil_div(instances, together) : instances * ceil_div(width, gpus_a_machine);
}

void Platform::to_host(const Machine& m, Place gpu, Route& route) const {
  const auto g = static_cast<std::size_t>(gpu.gpu);
  route.links.push_back(m.pcie_up[g]);
  if (!m.uplink_up.empty()) route.links.push_back(m.uplink_up[g / static_cast<std::size_t>(node_.gpus_per_uplink)]);
}

void Platform::from_host(const Machine& m, Place gpu, Route& route) const {
  const auto g = static_cast<std::size_t>(gpu.gpu);
  if (!m.uplink_down.empty()) route.links.push_back(m.uplink_down[g / static_cast<std::size_t>(node_.gpus_per_uplink)]);
  route.links.push_back(m.pcie_down[g]);
}

// Within one machine. Two GPUs below one uplink reach each other below it.
Route Platform::between_gpus(Place from, Place to) const {
  Route route;
  const Machine& m = of_[static_cast<std::size_t>(from.machine)];
  if (node_.peers_over_pcie && node_.all_reduce_bandwidth) route.at_most = *node_.all_reduce_bandwidth;
  if (!node_.peers_over_pcie) {
    route.links = {m.port_out[static_cast<std::size_t>(from.gpu)], m.port_in[static_cast<std::size_t>(to.gpu)]};
  } else if (from.gpu / node_.gpus_per_uplink == to.gpu / node_.gpus_per_uplink) {
    route.links = {m.pcie_up[static_cast<std::size_t>(from.gpu)], m.pcie_down[static_cast<std::size_t>(to.gpu)]};
  } else {
    to_host(m, from, route);
    from_host(m, to, route);
  }
  return route;
}

Route Platform::route(Place from, Place to) const {
  using enum Place::Kind;
  if (from.kind == kGpu && to.kind == kGpu && from.machine == to.machine)
    return from.gpu == to.gpu ? Route{} : between_gpus(from, to);
  Route route;
  const Machine& sender = of_[static_cast<std::size_t>(from.machine)];
  const Machine& receiver = of_[static_cast<std::size_t>(to.machine)];
  if (from.kind == kGpu) to_host(sender, from, route);
  if (from.kind == kDrives) route.links.push_back(sender.drives);
  if (from.machine != to.machine) {
    route.links.insert(route.links.end(), {sender.card_out, receiver.card_in});
    route.latency = node_.network_latency;
  }
  if (to.kind == kGpu) from_host(receiver, to, route);
  return route;
}

Route Platform::collective_route(Place from, Place to) const {
  if (from.machine == to.machine || node_.peers_over_pcie) return route(from, to);
  const Machine& sender = of_[static_cast<std::size_t>(from.machine)];
  const Machine& receiver = of_[static_cast<std::size_t>(to.machine)];
  return Route{{sender.port_out[static_cast<std::size_t>(from.gpu)], sender.card_out, receiver.card_in,
                receiver.port_in[static_cast<std::size_t>(to.gpu)]},
               node_.network_latency};
}

std::vector<BytesPerSecond> Platform::rates_of(std::vector<Route> together) const {
  Network network;  // of the links that are used
  std::map<LinkId, LinkId> used;
  std::vector<TransferId> moving;
  for (Route& route : together) {
    for (LinkId& link : route.links) {
      const auto [known, fresh] = used.try_emplace(link);
      if (fresh) known->second = network.add({}, links_.bandwidth(link));
      link = known->second;
    }
    route.latency = Seconds{1};  // so that rates are shared out once, when all begin
  }
  for (Route& route : together) moving.push_back(network.start(0, Bytes{1}, std::move(route)));
  network.advance(1);
  std::vector<BytesPerSecond> rates;
  for (const TransferId id : moving) rates.push_back(network.rate(id));
  return rates;
}

BytesPerSecond Platform::slowest_of(std::vector<Route> together) const {
  const std::vector<BytesPerSecond> rates = rates_of(std::move(together));
  return *std::min_element(rates.begin(), rates.end());
}

}  // namespace headroom
