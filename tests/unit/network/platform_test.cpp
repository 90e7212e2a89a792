// Routes of machines, by what shares a link with what.
#include "sim/network/platform.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace headroom {
namespace {

NodeProfile machine() {
  NodeProfile node;
  node.gpus = 4;
  node.all_reduce_bandwidth = BytesPerSecond{100};
  node.host_link = BytesPerSecond{20};
  node.nvme = BytesPerSecond{5};
  node.network_bandwidth = BytesPerSecond{10};
  node.network_latency = Seconds{0.5};
  return node;
}

double seconds(const Platform& p, const std::vector<std::pair<Place, Place>>& transfers, std::int64_t bytes) {
  Network n = p.idle();
  for (const auto& [from, to] : transfers) n.start(0, Bytes{bytes}, p.route(from, to));
  n.advance(Network::kNever);
  return n.ended.back().time;
}

TEST(Platform, GpusOfOneMachineSendBothWaysAtOnce) {
  const Platform p(machine(), 1);
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(1)}}, 200), 2);
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(1)}, {p.gpu(1), p.gpu(0)}, {p.gpu(2), p.gpu(3)}}, 200), 2);
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(2)}, {p.gpu(1), p.gpu(2)}}, 200), 4);
}

TEST(Platform, OneUplinkForTwoGpus) {
  NodeProfile node = machine();
  node.gpus_per_uplink = 2;
  const Platform p(node, 1);
  const Place host = p.host_of(p.gpu(0));
  EXPECT_DOUBLE_EQ(seconds(p, {{host, p.gpu(0)}}, 200), 10);
  EXPECT_DOUBLE_EQ(seconds(p, {{host, p.gpu(0)}, {host, p.gpu(1)}}, 200), 20);
  EXPECT_DOUBLE_EQ(seconds(p, {{host, p.gpu(0)}, {host, p.gpu(2)}}, 200), 10);
  EXPECT_DOUBLE_EQ(seconds(p, {{host, p.gpu(0)}, {p.gpu(1), host}}, 200), 10);  // up is not down
}

TEST(Platform, PeersOverPcieShareItWithTheHost) {
  NodeProfile node = machine();
  node.gpus_per_uplink = 2;
  node.peers_over_pcie = true;
  node.all_reduce_bandwidth = BytesPerSecond{20};
  const Platform p(node, 1);
  const Place host = p.host_of(p.gpu(0));
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(1)}}, 200), 10);
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(1)}, {host, p.gpu(1)}}, 200), 20);
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(2)}, {p.gpu(1), p.gpu(3)}}, 200), 20);  // one uplink for both
}

TEST(Platform, OneNetworkCardAMachine) {
  const Platform p(machine(), 3);
  EXPECT_EQ(p.gpu(6).machine, 1);
  EXPECT_EQ(p.gpu(6).gpu, 2);
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(4)}}, 200), 20.5);
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(4)}, {p.gpu(1), p.gpu(8)}}, 200), 40.5);
  EXPECT_DOUBLE_EQ(seconds(p, {{p.gpu(0), p.gpu(4)}, {p.gpu(5), p.gpu(1)}}, 200), 20.5);
}

TEST(Platform, FromAPlaceToItselfIsNoWay) {
  const Platform p(machine(), 1);
  EXPECT_TRUE(p.route(p.gpu(2), p.gpu(2)).links.empty());
}

}  // namespace
}  // namespace headroom
