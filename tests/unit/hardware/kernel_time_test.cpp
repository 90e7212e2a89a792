// One kernel: the roofline by hand, tables exact where they were measured and monotone between.
#include "models/kernel_time.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/config/catalogue.h"

namespace headroom {
namespace {

HardwareProfile plain_card() {
  HardwareProfile p;
  p.num_sms = 100;
  p.memory_bandwidth = BytesPerSecond{1e12};
  p.peak.fill(FlopsPerSecond{1e14});
  p.gemm_compute_efficiency = 1;
  p.gemm_memory_efficiency = 1;
  p.attention_compute_efficiency = 1;
  p.attention_memory_efficiency = 1;
  p.elementwise_memory_efficiency = 0.5;
  return p;
}

ForwardOps one_product(std::int64_t k, std::int64_t n) {
  ForwardOps ops;
  ops.gemms.push_back(GemmOp{"x", k, n, 1, 2.0, false, 1, 1});
  return ops;
}

TEST(KernelTime, ProductByHand) {
  const HardwareProfile hw = plain_card();
  const KernelModel m(hw, one_product(4096, 4096), {});
  // One row: 33.6 MB of weights at 1 TB/s, and the row itself in and out.
  EXPECT_NEAR(m.gemm(0, 1, Seconds{0}).time.count(), (2.0 * 4096 * 4096 + 2 * 8192) / 1e12, 1e-12);
  // 4,096 rows: 2 T K N operations; 32 x 32 tiles of 128 x 128 on 100 SMs are 11 waves instead of 10.24.
  EXPECT_NEAR(m.gemm(0, 4096, Seconds{0}).time.count(), 2 * std::pow(4096.0, 3) / 1e14 * (1100.0 / 1024), 1e-9);
  EXPECT_FALSE(m.gemm(0, 1, Seconds{0}).measured);
  EXPECT_NEAR(m.gemm(0, 1, Seconds{3e-6}).time.count() - m.gemm(0, 1, Seconds{0}).time.count(), 3e-6, 1e-15);
}

TEST(KernelTime, AddingIsNeverFasterThanOverlapping) {
  HardwareProfile add = plain_card(), overlap = plain_card(), between = plain_card();
  add.overlap.exponent = 1;
  between.overlap.exponent = 3;
  const ForwardOps ops = one_product(2048, 2048);
  const KernelModel a(add, ops, {}), o(overlap, ops, {}), b(between, ops, {});
  for (const std::int64_t t : {1, 17, 64, 200, 513, 5000}) {
    EXPECT_GE(a.gemm(0, t, Seconds{0}).time, b.gemm(0, t, Seconds{0}).time);
    EXPECT_GE(b.gemm(0, t, Seconds{0}).time, o.gemm(0, t, Seconds{0}).time);
    EXPECT_LE(a.gemm(0, t, Seconds{0}).time, o.gemm(0, t, Seconds{0}).time * 2.0);
  }
}

TEST(KernelTime, TwiceTheBandwidthHalvesWhatMemoryBinds) {
  HardwareProfile hw = plain_card(), twice = plain_card();
  twice.memory_bandwidth = BytesPerSecond{2e12};
  const ForwardOps ops = one_product(4096, 4096);
  EXPECT_NEAR(
      KernelModel(hw, ops, {}).gemm(0, 4, Seconds{0}).time / KernelModel(twice, ops, {}).gemm(0, 4, Seconds{0}).time, 2,
      1e-9);
  EXPECT_NEAR(KernelModel(hw, ops, {}).elementwise(1e6) / KernelModel(twice, ops, {}).elementwise(1e6), 2, 1e-9);
  EXPECT_NEAR(KernelModel(hw, ops, {}).elementwise(1e6).count(), 1e6 / 0.5e12, 1e-15);
}

TEST(KernelTime, ExpertsReadOnlyTheWeightsThatSomeTokenNeeds) {
  HardwareProfile hw = plain_card();
  ForwardOps ops;
  ops.gemms.push_back(GemmOp{"experts", 2048, 2048, 1, 2.0, false, 64, 4});
  const KernelModel m(hw, ops, {});
  const double one = 2.0 * 2048 * 2048 / 1e12;  // one expert's weights
  EXPECT_NEAR(m.gemm(0, 1, Seconds{0}).time.count(), 4 * one, 0.1 * one);
  EXPECT_GT(m.gemm(0, 32, Seconds{0}).time.count(), 40 * one);
  EXPECT_LT(m.gemm(0, 32, Seconds{0}).time.count(), 66 * one);
}

TEST(KernelTime, DecodeAttentionIsLinearInContext) {
  HardwareProfile hw = plain_card();
  ForwardOps ops;
  AttentionOp a;
  a.layers = 1;
  a.q_heads = 32;
  a.kv_heads = 8;
  a.head_dim = 128;
  a.kv_bytes_per_token_layer = 4096;
  a.flops_per_query_key = 4.0 * 32 * 128;
  ops.attention.push_back(a);
  const KernelModel m(hw, ops, {});
  const LinearPiece piece = m.decode_attention(a, 64, 1, 64'000, 0, Seconds{0});
  EXPECT_NEAR(piece.per_token, 4096 / 1e12, 1e-16);
  EXPECT_NEAR(piece.at_zero.count() + piece.per_token * 64'000, 64'000 * 4096 / 1e12, 1e-6);
}

AttentionOp heads(std::int64_t q, std::int64_t kv) {
  AttentionOp a;
  a.layers = 1;
  a.q_heads = q;
  a.kv_heads = kv;
  a.head_dim = 128;
  a.kv_bytes_per_token_layer = 2.0 * static_cast<double>(kv) * 128 * 2;
  a.flops_per_query_key = 4.0 * static_cast<double>(q) * 128;
  return a;
}

// SEMANTICS 5.5: flash reads Q, K, V and writes the output, S of each; eager moves the S x S scores besides, in fp16
// and fp32 and back (4 a + 16 bytes), and computes the masked half too.
TEST(KernelTime, EagerAttentionMovesTheSquareOfTheLengthFlashTheLength) {
  HardwareProfile hw = plain_card();
  hw.num_sms = 1;
  hw.peak.fill(FlopsPerSecond{1e20});  // memory alone
  ForwardOps ops;
  ops.attention.push_back(heads(32, 32));
  ForwardOptions eager;
  eager.attention = AttentionKernel::kEager;
  const KernelModel with_flash(hw, ops, {}), with_eager(hw, ops, eager);
  for (const double s : {1024.0, 2048.0, 4096.0}) {
    const auto tokens = static_cast<std::int64_t>(s);
    const double flash_bytes = s * 2 * 32 * 128 * 2 + 2 * s * 32 * 128 * 2;
    const auto time = [&](const KernelModel& m) {
      return m.prefill_attention(ops.attention[0], tokens, 0, 1, Seconds{0}).time.count();
    };
    EXPECT_NEAR(time(with_flash), flash_bytes / 1e12, 1e-12);
    EXPECT_NEAR(time(with_eager), (flash_bytes + 32 * s * s * (4 * 2 + 16)) / 1e12, 1e-12);
  }
}

// One sequence with one KV head is one block of work; split along the keys it keeps 64 SMs of the card busy.
TEST(KernelTime, DecodeIsSplitAlongTheKeysToFillTheCard) {
  HardwareProfile hw = plain_card();
  hw.num_sms = 128;
  ForwardOps ops;
  ops.attention.push_back(heads(8, 1));
  const KernelModel m(hw, ops, {});
  const auto per_token = [&](std::int64_t sequences) {
    return m.decode_attention(ops.attention[0], sequences, 1, 1000 * sequences, 0, Seconds{0}).per_token;
  };
  const double bytes = 2.0 * 128 * 2;
  EXPECT_NEAR(per_token(1), bytes / (1e12 * 64 / 128), 1e-18);
  EXPECT_NEAR(per_token(2), bytes / 1e12, 1e-18);
  EXPECT_NEAR(per_token(32), bytes / 1e12, 1e-18);
}

TEST(KernelTime, TablesAreExactAtTheirPointsAndMonotoneBetween) {
  const HardwareProfile hw = read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml");
  const ForwardOps ops = one_product(4096, 6144);
  ForwardOptions options;
  options.activation_dtype = DType::kBfloat16;
  const KernelModel m(hw, ops, options);
  int points = 0;
  for (const GemmTable::Point& p : hw.gemm_tables.front().points) {
    if (p.n != 6144 || p.k != 4096) continue;
    const KernelTime t = m.gemm(0, p.m, Seconds{0});
    EXPECT_TRUE(t.measured);
    EXPECT_NEAR(t.time / p.time, 1, 1e-9) << p.m;
    ++points;
  }
  EXPECT_GE(points, 15);
  double before = 0;
  for (std::int64_t t = 1; t <= 8192; t = t * 5 / 4 + 1) {
    const double now = m.gemm(0, t, Seconds{0}).time.count();
    EXPECT_GE(now, 0.9 * before) << t;  // measured curves dip a little; nothing worse
    before = now;
  }
}

TEST(KernelTime, AShapeBetweenTheTablesIsInterpolatedWell) {
  // Leave one shape of the table out and predict it: median error over row counts.
  HardwareProfile hw = read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml");
  const ForwardOps ops = one_product(5120, 5120);
  ForwardOptions options;
  options.activation_dtype = DType::kBfloat16;
  std::vector<GemmTable::Point> held;
  std::erase_if(hw.gemm_tables.front().points, [&](const GemmTable::Point& p) {
    if (p.n != 5120 || p.k != 5120) return false;
    held.push_back(p);
    return true;
  });
  ASSERT_GE(held.size(), 10U);
  const KernelModel m(hw, ops, options);
  std::vector<double> errors;
  for (const GemmTable::Point& p : held) errors.push_back(std::abs(m.gemm(0, p.m, Seconds{0}).time / p.time - 1));
  std::sort(errors.begin(), errors.end());
  EXPECT_LT(errors[errors.size() / 2], 0.15);
}

}  // namespace
}  // namespace headroom
