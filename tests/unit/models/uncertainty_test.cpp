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

TEST(Uncertainty, WorseGroundIsNeverTrustedMore) {
  for (const Predicted what : {Predicted::kFirstToken, Predicted::kTime, Predicted::kMemory}) {
    double least = 0;
    for (const Ground ground : {Ground::kOwnKernels, Ground::kKernelTables, Ground::kFitted, Ground::kDatasheet}) {
      EXPECT_GE(model_discrepancy(what, ground), least) << name_of(ground);
      least = model_discrepancy(what, ground);
    }
  }
}

TEST(Uncertainty, TheGroundIsWhatTheProfileHas) {
  HardwareProfile p;
  EXPECT_EQ(ground_of(p), Ground::kDatasheet);
  p.source.evidence = Evidence::kFitted;
  EXPECT_EQ(ground_of(p), Ground::kFitted);
  p.gemm_tables.emplace_back();
  EXPECT_EQ(ground_of(p), Ground::kFitted);  // attention is still a rate
  p.decode_attention_tables.emplace_back();
  EXPECT_EQ(ground_of(p), Ground::kKernelTables);
  p.streaming_table.emplace();
  EXPECT_EQ(ground_of(p), Ground::kOwnKernels);
}

}  // namespace
}  // namespace headroom
