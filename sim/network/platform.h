// A cluster of equal machines as links, and the routes through them.
//
// Of each machine: per GPU two ports into what connects the GPUs, and a PCIe link to the host, where some GPUs share an
// uplink to it; one network card and one drive (all of them taken together). Each way of a link is a link of its own.
//
//   GPU to GPU          its port out, the other's port in; over PCIe where nothing else connects them
//   GPU to other host   over PCIe, the uplink and both cards
//   drives to a GPU     through the host, over its uplink and PCIe
//   GPU to GPU of another machine   over PCIe and both cards (cards read GPU memory themselves)
//   collectives         as GPU to GPU; to another machine from the ports, as rings over all of a machine's cards do
#pragma once

#include <cstdint>
#include <vector>

#include "models/hardware.h"
#include "sim/network/network.h"

namespace headroom {

// An end of a transfer.
struct Place {
  enum class Kind { kGpu, kHost, kDrives } kind = Kind::kGpu;
  std::int64_t machine = 0;
  std::int64_t gpu = 0;  // kGpu: within the machine
};

class Platform {
 public:
  // GPUs 0, 1, ... fill one machine after the other.
  Platform(const NodeProfile& node, std::int64_t machines);

  Place gpu(std::int64_t number) const { return {Place::Kind::kGpu, number / node_.gpus, number % node_.gpus}; }
  Place host_of(Place place) const { return {Place::Kind::kHost, place.machine, 0}; }
  Place drives_of(Place place) const { return {Place::Kind::kDrives, place.machine, 0}; }  // which are only read
  // GPUs of instance number `index` of instances of `width` GPUs: as many as fit share a machine, wider ones begin on
  // one of their own.
  std::vector<std::int64_t> gpus_of(std::int64_t width, std::int64_t index) const;
  static std::int64_t machines_for(std::int64_t gpus_a_machine, std::int64_t width, std::int64_t instances);

  // Of one transfer. From a place to itself: no links, no time.
  Route route(Place from, Place to) const;
  // Of a collective's message between two GPUs.
  Route collective_route(Place from, Place to) const;

  // What each of these gets while all of them move.
  std::vector<BytesPerSecond> rates_of(std::vector<Route> together) const;
  // And the slowest of them. At least one.
  BytesPerSecond slowest_of(std::vector<Route> together) const;

  // All links, nobody on them.
  const Network& idle() const { return links_; }

 private:
  struct Machine {
    std::vector<LinkId> port_out, port_in, pcie_up, pcie_down;  // by GPU
    std::vector<LinkId> uplink_up, uplink_down;                 // by group of GPUs; empty: each has its own
    LinkId card_out = 0, card_in = 0, drives = 0;
  };
  void to_host(const Machine& m, Place gpu, Route& route) const;
  void from_host(const Machine& m, Place gpu, Route& route) const;
  Route between_gpus(Place from, Place to) const;

  NodeProfile node_;
  std::vector<Machine> of_;
  Network links_;
};

}  // namespace headroom
