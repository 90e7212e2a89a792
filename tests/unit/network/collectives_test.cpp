// What is remembered of a collective, what its messages take as flows, and the closed forms of SEMANTICS 9.6.
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
  const std::int64_t rounds = kind == CollectiveKind::kAllReduce   ? 2 * (n - 1)
                              : kind == CollectiveKind::kAllGather ? n - 1
                                                                   : 1;
  double time = latency.count();
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (Route& message : Collectives(node, platform).round(kind, gpus))
      network.start(time, Bytes{bytes / n}, std::move(message));
    network.advance(Network::kNever);
    time = network.ended.back().time;
  }
  return time;
}

TEST(Collectives, RememberedFlowsAndClosedFormsAgreeOnAnIdlePlatform) {
  const NodeProfile node = machine();
  for (const std::int64_t n : {2, 4, 8}) {
    const Platform platform(node, 1);
    Collectives collectives(node, platform);
    const std::vector<std::int64_t> gpus = platform.gpus_of(n, 0);
    const std::int64_t bytes = 64'000'000;
    const auto others = static_cast<double>(n - 1), all = static_cast<double>(n);
    const auto check = [&](CollectiveKind kind, double closed) {
      const CollectiveLink link = collectives.link(kind, gpus);
      EXPECT_NEAR(collective_time(kind, n, static_cast<double>(bytes), link).count(), closed, 1e-12);
      EXPECT_NEAR(by_flows(node, platform, kind, gpus, bytes, link.latency), closed, 1e-9 * static_cast<double>(n));
    };
    check(CollectiveKind::kAllReduce, 10e-6 + 2 * others / all * 64e6 / 400e9);
    check(CollectiveKind::kAllGather, 10e-6 + others / all * 64e6 / 320e9);
    check(CollectiveKind::kAllToAll, 10e-6 + others / all * 64e6 / 320e9);
  }
}

// Two machines of eight: a ring crosses each card once, 50 GB/s. An all-to-all sends 8 x 8 messages of S/16 over it.
TEST(Collectives, MachinesShareTheirCards) {
  const NodeProfile node = machine();
  const Platform platform(node, 2);
  Collectives collectives(node, platform);
  const std::vector<std::int64_t> gpus = platform.gpus_of(16, 0);
  const CollectiveLink ring = collectives.link(CollectiveKind::kAllReduce, gpus);
  EXPECT_NEAR(ring.bandwidth.rate(), 50e9, 1);
  EXPECT_NEAR(ring.latency.count(), 10e-6 + 2 * 30e-6, 1e-12);
  const CollectiveLink exchange = collectives.link(CollectiveKind::kAllToAll, gpus);
  EXPECT_NEAR(collective_time(CollectiveKind::kAllToAll, 16, 16e6, exchange).count(), 10e-6 + 30e-6 + 64 * 1e6 / 50e9,
              1e-7);
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
