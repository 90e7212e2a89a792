// Our shares of links against SimGrid's flow model: the same platform, the same transfers, the same ends.
//
// SimGrid has one platform a process: all cases are islands of one, and run at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <simgrid/s4u.hpp>

#include "sim/engine/step_flows.h"
#include "sim/network/collectives.h"
#include "sim/network/traffic.h"

namespace headroom {
namespace {

namespace sg = simgrid::s4u;

struct Sent {
  std::vector<LinkId> links;
  double start = 0, bytes = 0;
};
struct Island {
  std::vector<double> bandwidths;
  std::vector<Sent> transfers;
};

std::vector<Island> islands() {
  std::mt19937 random(7);
  const auto below = [&](unsigned n) -> unsigned { return static_cast<unsigned>(random()) % n; };
  std::vector<Island> all(100);
  for (Island& island : all) {
    for (unsigned i = 0; i < 1 + below(5); ++i) island.bandwidths.push_back(1e6 * (1 + below(20)));
    for (unsigned i = 0; i < 1 + below(8); ++i) {
      Sent s;
      for (LinkId link = 0; link < island.bandwidths.size(); ++link)
        if (below(2) == 0) s.links.push_back(link);
      if (s.links.empty()) s.links.push_back(0);
      s.start = 0.25 * below(8);
      s.bytes = 1e5 * (1 + below(50));
      island.transfers.push_back(s);
    }
  }
  return all;
}

// SimGrid with nothing but fair shares of bandwidth.
class PlainFlows {
 public:
  PlainFlows() {
    for (std::string& word : words_) arguments_.push_back(word.data());
    int count = static_cast<int>(arguments_.size());
    arguments_.push_back(nullptr);
    engine_ = std::make_unique<sg::Engine>(&count, arguments_.data());
  }
  sg::Engine& engine() const { return *engine_; }

 private:
  std::string words_[8] = {"test",
                           "--cfg=network/model:CM02",
                           "--cfg=network/TCP-gamma:0",
                           "--cfg=network/crosstraffic:0",
                           "--cfg=network/bandwidth-factor:1",
                           "--cfg=network/latency-factor:1",
                           "--cfg=network/weight-S:0",
                           "--log=root.thresh:critical"};
  std::vector<char*> arguments_;
  std::unique_ptr<sg::Engine> engine_;
};

std::vector<std::vector<double>> ends_by_simgrid(const std::vector<Island>& all) {
  const PlainFlows simgrid;
  sg::Engine& engine = simgrid.engine();
  sg::NetZone* world = sg::create_full_zone("world");
  std::vector<std::vector<double>> ends(all.size());
  struct Pair {
    sg::Host *from, *to;
    double start, bytes;
    double* end;
  };
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<sg::Link*> links;
    for (std::size_t l = 0; l < all[i].bandwidths.size(); ++l)
      links.push_back(world->create_link("l" + std::to_string(i) + "." + std::to_string(l), all[i].bandwidths[l])
                          ->set_latency(0)
                          ->seal());
    ends[i].resize(all[i].transfers.size());
    for (std::size_t t = 0; t < all[i].transfers.size(); ++t) {
      const Sent& sent = all[i].transfers[t];
      const std::string name = std::to_string(i) + "." + std::to_string(t);
      sg::Host* from = world->create_host("from" + name, 1e9);
      sg::Host* to = world->create_host("to" + name, 1e9);
      std::vector<sg::LinkInRoute> route;
      for (const LinkId link : sent.links) route.emplace_back(links[link]);
      world->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, route, false);
      pairs.push_back({from, to, sent.start, sent.bytes, &ends[i][t]});
    }
  }
  world->seal();
  const double begun = sg::Engine::get_clock();  // of both tests in one process it is not zero
  for (const Pair& p : pairs)
    sg::Actor::create("sender", p.from, [p, begun] {
      sg::this_actor::sleep_until(begun + p.start);
      sg::Comm::sendto(p.from, p.to, static_cast<std::uint64_t>(p.bytes));
      *p.end = sg::Engine::get_clock() - begun;
    });
  engine.run();
  return ends;
}

TEST(SimgridTwin, TransfersEndWhenSimgridSays) {
  const std::vector<Island> all = islands();
  const std::vector<std::vector<double>> expected = ends_by_simgrid(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    Network network;
    for (const double bandwidth : all[i].bandwidths) network.add("", BytesPerSecond{bandwidth});
    std::vector<std::size_t> order(all[i].transfers.size());
    for (std::size_t t = 0; t < order.size(); ++t) order[t] = t;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return all[i].transfers[a].start < all[i].transfers[b].start;
    });
    for (const std::size_t t : order) {
      const Sent& s = all[i].transfers[t];
      network.start(s.start, Bytes{static_cast<std::int64_t>(s.bytes)}, Route{s.links, Seconds{0}});
    }
    network.advance(Network::kNever);
    ASSERT_EQ(network.ended.size(), order.size());
    for (const Network::Ended& e : network.ended) EXPECT_NEAR(e.time, expected[i][order[e.id]], 1e-6);
  }
}

// An all-to-all as the messages it is made of, on machines that nobody else uses, against its closed form. What bounds
// a message apart from links is a link of its own here.
TEST(SimgridTwin, AllToAllTakesItsClosedForm) {
  NodeProfile switched, paired;
  for (NodeProfile* node : {&switched, &paired}) {
    node->gpus = 8;
    node->all_reduce_bandwidth = node->all_gather_bandwidth = BytesPerSecond{100e6};
    node->host_link = BytesPerSecond{50e6};
    node->network_bandwidth = BytesPerSecond{60e6};
  }
  paired.peers_over_pcie = true;
  paired.gpus_per_uplink = 2;
  std::vector<Island> all;
  std::vector<double> closed;
  for (const NodeProfile& node : {switched, paired})
    for (const std::int64_t ranks : {2, 4, 8, 16}) {
      const Platform platform(node, ceil_div(ranks, node.gpus));
      const std::vector<std::int64_t> gpus = platform.gpus_of(ranks, 0);
      const double message = 1e6;
      Island& island = all.emplace_back();
      for (LinkId link = 0; link < platform.idle().num_links(); ++link)
        island.bandwidths.push_back(platform.idle().bandwidth(link).rate());
      for (Route& route : collective_round(node, platform, CollectiveKind::kAllToAll, gpus)) {
        route.links.push_back(static_cast<LinkId>(island.bandwidths.size()));
        island.bandwidths.push_back(route.at_most.rate());
        island.transfers.push_back({route.links, 0, message});
      }
      const auto n = static_cast<double>(ranks);
      closed.push_back(
          all_to_all_time(collective_link(node, platform, CollectiveKind::kAllToAll, gpus), n, n * message).count());
    }
  const std::vector<std::vector<double>> ends = ends_by_simgrid(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_NEAR(*std::max_element(ends[i].begin(), ends[i].end()), closed[i], 1e-6 * closed[i]);
  }
}

// Steps of several replicas, each a row of units that bring something and compute, on links they share; some fetch
// ahead. In SimGrid a replica is two actors, one that fetches while there is room and one that computes.
struct Step {
  std::vector<LinkId> links;
  double start = 0;
  std::size_t ahead = 0;
  std::vector<FlowUnit> units;
  std::vector<Route> routes;
};

TEST(SimgridTwin, StepsThatShareLinksEndWhenSimgridSays) {
  std::mt19937 random(11);
  const auto below = [&](unsigned n) -> unsigned { return static_cast<unsigned>(random()) % n; };
  struct Place {
    std::vector<double> bandwidths;
    std::vector<Step> steps;
  };
  std::vector<Place> all(60);
  for (Place& place : all) {
    for (unsigned i = 0; i < 1 + below(3); ++i) place.bandwidths.push_back(1e6 * (1 + below(20)));
    place.steps.resize(1 + below(4));
    for (Step& step : place.steps) {
      for (LinkId link = 0; link < place.bandwidths.size(); ++link)
        if (below(2) == 0) step.links.push_back(link);
      if (step.links.empty()) step.links.push_back(0);
      step.start = 0.25 * below(8);
      step.ahead = below(3);
      step.routes.assign(1, Route{step.links, Seconds{0}});
      for (unsigned u = 0; u < 1 + below(12); ++u)
        step.units.push_back(FlowUnit{nullptr, 1e4 * (1 + below(100)), 0, 0.001 * (1 + below(100))});
    }
  }

  const PlainFlows simgrid;
  sg::Engine& engine = simgrid.engine();
  sg::NetZone* world = sg::create_full_zone("steps");
  struct Replica {
    const Step* step;
    sg::Host *from, *to;
    double end = 0;
  };
  std::vector<std::vector<Replica>> replicas(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<sg::Link*> links;
    for (std::size_t l = 0; l < all[i].bandwidths.size(); ++l)
      links.push_back(world->create_link("s" + std::to_string(i) + "." + std::to_string(l), all[i].bandwidths[l])
                          ->set_latency(0)
                          ->seal());
    for (const Step& step : all[i].steps) {
      const std::string name = std::to_string(i) + "." + std::to_string(replicas[i].size());
      sg::Host* from = world->create_host("host" + name, 1e9);
      sg::Host* to = world->create_host("gpu" + name, 1e9);
      std::vector<sg::LinkInRoute> route;
      for (const LinkId link : step.links) route.emplace_back(links[link]);
      world->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, route, false);
      replicas[i].push_back({&step, from, to});
    }
  }
  world->seal();
  const double begun = sg::Engine::get_clock();
  for (std::vector<Replica>& here : replicas)
    for (Replica& r : here) {
      const sg::SemaphorePtr room = sg::Semaphore::create(static_cast<unsigned>(r.step->ahead) + 1);
      const sg::SemaphorePtr fetched = sg::Semaphore::create(0);
      sg::Actor::create("fetch", r.from, [&r, room, fetched, begun] {
        sg::this_actor::sleep_until(begun + r.step->start);
        for (const FlowUnit& unit : r.step->units) {
          room->acquire();
          sg::Comm::sendto(r.from, r.to, static_cast<std::uint64_t>(unit.bytes));
          fetched->release();
        }
      });
      sg::Actor::create("compute", r.to, [&r, room, fetched, begun] {
        for (const FlowUnit& unit : r.step->units) {
          fetched->acquire();
          sg::this_actor::sleep_for(unit.compute);
          room->release();
        }
        r.end = sg::Engine::get_clock() - begun;
      });
    }
  engine.run();

  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    Network network;
    for (const double bandwidth : all[i].bandwidths) network.add("", BytesPerSecond{bandwidth});
    Traffic traffic(std::move(network));
    std::vector<StepFlows> flows(all[i].steps.size());
    double bytes = 0, carried = 0;
    const auto ship = [&](std::size_t r, double now) {
      if (!flows[r].moving()) return;
      traffic.ship(now, r, 0, all[i].steps[r].routes, flows[r].unit().bytes, flows[r].due());
    };
    for (std::size_t r = 0; r < flows.size(); ++r) {
      const Step& step = all[i].steps[r];
      std::vector<FlowUnit> units = step.units;
      for (FlowUnit& unit : units) {
        unit.over = &step.routes;
        bytes += unit.bytes * static_cast<double>(step.links.size());
      }
      flows[r].begin(step.start, std::move(units), step.ahead);
      ship(r, 0);
    }
    while (traffic.next_change() != Network::kNever) {
      traffic.advance(traffic.next_change());
      for (const Traffic::Arrival& a : std::exchange(traffic.arrivals, {})) {
        flows[a.owner].arrived(a.time);
        ship(a.owner, a.time);
      }
    }
    for (std::size_t r = 0; r < flows.size(); ++r) EXPECT_NEAR(flows[r].end(), replicas[i][r].end, 1e-6);
    for (LinkId link = 0; link < all[i].bandwidths.size(); ++link) carried += traffic.links().carried(link);
    EXPECT_NEAR(carried, bytes, 1e-6 * bytes);
  }
}

}  // namespace
}  // namespace headroom
