// A kernel scale above one makes everything it names slower, and nothing else.
#include "models/uncertainty.h"

#include <gtest/gtest.h>

namespace headroom {
namespace {

constexpr KernelScale kTwice{2, 2, 2, 2};

TEST(Uncertainty, LinksCarryHalfAndWaitTwiceAsLong) {
  HardwareProfile card;
  card.pcie_bandwidth = card.nvlink_bandwidth = card.all_reduce_bandwidth = BytesPerSecond{64e9};
  card.copy_latency = card.collective_latency = Seconds{1e-6};
  const HardwareProfile p = scaled(card, kTwice);
  for (const BytesPerSecond rate : {p.pcie_bandwidth, p.nvlink_bandwidth, p.all_reduce_bandwidth})
    EXPECT_DOUBLE_EQ(rate.rate(), 32e9);
  EXPECT_DOUBLE_EQ(p.copy_latency.count(), 2e-6);
  EXPECT_DOUBLE_EQ(p.collective_latency.count(), 2e-6);
}

TEST(Uncertainty, LinksOfAMachineToo) {
  NodeProfile node;
  node.host_link = node.nvme = node.network_bandwidth = BytesPerSecond{10e9};
  node.all_reduce_bandwidth = BytesPerSecond{20e9};
  node.collective_latency = Seconds{1e-5};
  node.network_latency = Seconds{3e-5};
  const NodeProfile n = scaled(node, kTwice);
  for (const BytesPerSecond rate : {n.host_link, n.nvme, n.network_bandwidth}) EXPECT_DOUBLE_EQ(rate.rate(), 5e9);
  ASSERT_TRUE(n.all_reduce_bandwidth);
  EXPECT_DOUBLE_EQ(n.all_reduce_bandwidth->rate(), 10e9);
  EXPECT_FALSE(n.all_gather_bandwidth);
  EXPECT_DOUBLE_EQ(n.collective_latency->count(), 2e-5);
  EXPECT_DOUBLE_EQ(n.network_latency.count(), 6e-5);
}

}  // namespace
}  // namespace headroom
