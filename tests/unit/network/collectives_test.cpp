// What one round says of a collective, what all its messages take as flows, and the closed forms of SEMANTICS 9.6.
#include "sim/network/collectives.h"

#include <gtest/gtest.h>

namespace headroom {
namespace {

NodeProfile machine() {
  NodeProfile node;
  node.gpus = 8;
  node.all_reduce_bandwidth = BytesPerSecond{400e9};
  node.all_gather_bandwidth = BytesPerSecond{320e9};
  node.collective_latency = Seconds{10e-6};
  node.host_link = BytesPerSecond{50e9};
  node.network_bandwidth = BytesPerSecond{50e9};
  node.network_latency = Seconds{30e-6};
  return node;
}

// Rounds one after the other as transfers of a platform, latency once.
double by_flows(const NodeProfile& node, const Platform& platform, CollectiveKind kind,
                const std::vector<std::int64_t>& gpus, std::int64_t bytes, Seconds latency) {
  Network network = platform.idle();
  const auto n = static_cast<std::int64_t>(gpus.size());
  const std::int64_t rounds = kind == CollectiveKind::kAllReduce ? 2 * (n - 1) : n - 1;
  double time = latency.count();
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (Route& message : collective_round(node, platform, kind, gpus))
      network.start(time, Bytes{bytes / n}, std::move(message));
    network.advance(Network::kNever);
    time = network.ended.back().time;
  }
  return time;
}

TEST(Collectives, OneRoundAllRoundsAndClosedFormsAgreeOnAnIdlePlatform) {
  const NodeProfile node = machine();
  for (const std::int64_t n : {2, 4, 8}) {
    const Platform platform(node, 1);
    const std::vector<std::int64_t> gpus = platform.gpus_of(n, 0);
    const std::int64_t bytes = 64'000'000;
    const auto others = static_cast<double>(n - 1), all = static_cast<double>(n);
    const auto check = [&](CollectiveKind kind, auto time, double closed) {
      const CollectiveLink link = collective_link(node, platform, kind, gpus);
      EXPECT_NEAR(time(link, all, static_cast<double>(bytes)).count(), closed, 1e-12);
      EXPECT_NEAR(by_flows(node, platform, kind, gpus, bytes, link.latency), closed, 1e-9 * static_cast<double>(n));
    };
    check(CollectiveKind::kAllReduce, all_reduce_time, 10e-6 + 2 * others / all * 64e6 / 400e9);
    check(CollectiveKind::kAllGather, all_gather_time, 10e-6 + others / all * 64e6 / 320e9);
  }
}

// Two machines of eight: a ring crosses each card once, 50 GB/s.
TEST(Collectives, MachinesShareTheirCards) {
  const NodeProfile node = machine();
  const Platform platform(node, 2);
  const std::vector<std::int64_t> gpus = platform.gpus_of(16, 0);
  const CollectiveLink ring = collective_link(node, platform, CollectiveKind::kAllReduce, gpus);
  EXPECT_NEAR(ring.bandwidth.rate(), 50e9, 1);
  EXPECT_NEAR(ring.latency.count(), 10e-6 + 2 * 30e-6, 1e-12);
}

// Every rank sends an n-th of its bytes to every other: (n-1)/n S/B behind a switch. Over two machines of eight, 8 x 8
// messages share each card: 16 MB of which each rank sends 1 MB to each of the 8 others there, 64 MB in all.
TEST(Collectives, AllToAllByHand) {
  const NodeProfile node = machine();
  for (const std::int64_t n : {2, 4, 8}) {
    const Platform platform(node, 1);
    const CollectiveLink link = collective_link(node, platform, CollectiveKind::kAllToAll, platform.gpus_of(n, 0));
    const auto ranks = static_cast<double>(n);
    EXPECT_NEAR(all_to_all_time(link, ranks, 64e6).count(), 10e-6 + (ranks - 1) / ranks * 64e6 / 320e9, 1e-12);
  }
  const Platform platform(node, 2);
  const CollectiveLink wide = collective_link(node, platform, CollectiveKind::kAllToAll, platform.gpus_of(16, 0));
  EXPECT_NEAR(all_to_all_time(wide, 16, 16e6).count(), 10e-6 + 30e-6 + 64e6 / 50e9, 1e-12);
}

// Pairs of GPUs share an uplink of 20 GB/s: of each pair, 2 x 6 of its messages to seven others go over it.
TEST(Collectives, AllToAllOverSharedUplinks) {
  NodeProfile node = machine();
  node.peers_over_pcie = true;
  node.gpus_per_uplink = 2;
  node.host_link = BytesPerSecond{20e9};
  node.all_reduce_bandwidth = node.all_gather_bandwidth = BytesPerSecond{100e9};
  const Platform platform(node, 1);
  const CollectiveLink link = collective_link(node, platform, CollectiveKind::kAllToAll, platform.gpus_of(8, 0));
  EXPECT_NEAR(all_to_all_time(link, 8, 8e6).count(), 10e-6 + 12 * 1e6 / 20e9, 1e-12);
}

// What one replica's collectives get alone is what each gets while all replicas have theirs: as long as replicas fill
// whole uplinks or keep below one, and machines are not shared by wider ones, no two use a link the same way.
TEST(Collectives, ReplicasKeepOutOfEachOthersWay) {
  for (const bool pcie : {false, true})
    for (const std::int64_t width : {2, 4, 8, 16})
      for (const CollectiveKind kind :
           {CollectiveKind::kAllReduce, CollectiveKind::kAllGather, CollectiveKind::kAllToAll}) {
        NodeProfile node = machine();
        node.peers_over_pcie = pcie;
        if (pcie) node.gpus_per_uplink = 2;
        const Platform platform(node, 4);
        std::vector<Route> alone = collective_round(node, platform, kind, platform.gpus_of(width, 0)), all;
        for (std::int64_t replica = 0; replica < 32 / width; ++replica)
          for (Route& route : collective_round(node, platform, kind, platform.gpus_of(width, replica)))
            all.push_back(std::move(route));
        SCOPED_TRACE(width);
        EXPECT_NEAR(platform.slowest_of(all).rate(), platform.slowest_of(alone).rate(), 1);
      }
}
// Three GPUs a replica over pairs: two replicas send over one uplink, and each gets half of what it gets alone.
TEST(Collectives, ReplicasThatShareAnUplinkGetHalf) {
  NodeProfile node = machine();
  node.peers_over_pcie = true;
  node.gpus_per_uplink = 2;
  const Platform platform(node, 1);
  std::vector<Route> alone = collective_round(node, platform, CollectiveKind::kAllReduce, platform.gpus_of(3, 0));
  std::vector<Route> both = alone;
  for (Route& route : collective_round(node, platform, CollectiveKind::kAllReduce, platform.gpus_of(3, 1)))
    both.push_back(std::move(route));
  EXPECT_NEAR(platform.slowest_of(alone).rate(), 50e9, 1);
  EXPECT_NEAR(platform.slowest_of(both).rate(), 25e9, 1);
}

TEST(Collectives, InstancesKeepToMachines) {
  const NodeProfile node = machine();
  const Platform platform(node, 4);
  EXPECT_EQ(platform.gpus_of(3, 1), (std::vector<std::int64_t>{3, 4, 5}));
  EXPECT_EQ(platform.gpus_of(3, 2), (std::vector<std::int64_t>{8, 9, 10}));  // not 6, 7 and 8
  EXPECT_EQ(platform.gpus_of(12, 1).front(), 16);
  EXPECT_EQ(Platform::machines_for(8, 3, 5), 3);
  EXPECT_EQ(Platform::machines_for(8, 12, 2), 4);
}

}  // namespace
}  // namespace headroom
