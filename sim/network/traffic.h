// All transfers of a run on the links of its cluster, and who is to be told when they are through.
//
// What counts as one (a ring's messages, a copy on every rank) goes as one shipment: it has arrived when the last of
// its messages has. A state machine without a clock, as the network below it.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "sim/network/network.h"

namespace headroom {

class Traffic {
 public:
  explicit Traffic(Network links) : network_(std::move(links)) {}

  // `owner` and `tag` mean what the caller wants them to. Each of `routes` gets `bytes`, from `begins` on, which is not
  // before `now`. Requires a route.
  void ship(double now, std::uint64_t owner, std::uint64_t tag, std::span<const Route> routes, double bytes,
            double begins);

  double next_change() const { return network_.next_change(); }
  void advance(double time);  // arrivals up to then, in order of time

  struct Arrival {
    std::uint64_t owner, tag;
    double time;
  };
  std::vector<Arrival> arrivals;  // since the caller last cleared it

  const Network& links() const { return network_; }

 private:
  struct Shipment {
    std::uint64_t owner, tag;
    std::size_t messages;  // still on their way
  };
  // Moments of one nanosecond may come in any order; the network's clock never goes back.
  double after(double time) { return now_ = std::max(now_, time); }

  Network network_;
  std::unordered_map<std::uint64_t, Shipment> shipments_;
  std::unordered_map<TransferId, std::uint64_t> shipment_of_;
  std::uint64_t shipped_ = 0;
  double now_ = 0;
};

}  // namespace headroom
