// Parts of a step by hand, on a card of round numbers: 1 TB/s, 100 TFLOP/s, everything at its peak.
#include <gtest/gtest.h>

#include <array>

#include "models/step_time.h"
#include "sim/config/catalogue.h"

namespace headroom {
namespace {

HardwareProfile round_card() {
  HardwareProfile p;
  p.num_sms = 1;  // no SM is ever idle
  p.memory_bandwidth = BytesPerSecond{1e12};
  p.peak.fill(FlopsPerSecond{1e14});
  p.gemm_compute_efficiency = p.gemm_memory_efficiency = 1;
  p.attention_compute_efficiency = p.attention_memory_efficiency = p.elementwise_memory_efficiency = 1;
  p.kernel_fixed_time = Seconds{5e-6};
  p.graph_kernel_gap = Seconds{1e-6};
  p.launch_time = Seconds{20e-6};
  p.pcie_bandwidth = BytesPerSecond{1e10};
  p.copy_latency = Seconds{3e-6};
  p.collective_latency = Seconds{7e-6};
  return p;
}

// Two layers of one product and one attention, a head, and four more kernels: nine.
ForwardOps two_layers() {
  ForwardOps ops;
  ops.gemms.push_back(GemmOp{"x", 1000, 1000, 2, 2.0, false, 1, 1});
  ops.gemms.push_back(GemmOp{"lm_head", 1000, 5000, 1, 2.0, true, 1, 1});
  AttentionOp a;
  a.layers = 2;
  a.q_heads = a.kv_heads = 1;
  a.head_dim = 128;
  a.kv_bytes_per_token_layer = 1000;
  ops.attention.push_back(a);
  ops.elementwise_bytes_per_token = 2e6;
  ops.kernels = 9;
  ops.all_reduces = 4;
  ops.hidden_bytes_per_token = 2000;
  return ops;
}

StepShape decodes(std::int64_t sequences, std::int64_t context) {
  StepShape s;
  s.decode_sequences = s.logit_rows = sequences;
  s.decode_context = s.decode_windowed_context = sequences * context;
  return s;
}

TEST(StepParts, EveryKernelStartsOnce) {
  // Eager: nine starts of 5 us. In a graph: nine gaps of 1 us.
  StepTimeOptions eager, graph;
  graph.host.graph_sizes = {1, 2, 4};
  const StepShape one = decodes(1, 1);
  const StepTime e = StepTimeModel(two_layers(), round_card(), eager).step_time(one);
  const StepTime g = StepTimeModel(two_layers(), round_card(), graph).step_time(one);
  EXPECT_NEAR((e.gpu - g.gpu).count(), 9 * 4e-6, 1e-15);
  EXPECT_NEAR(e.elementwise.count(), 2e6 / 1e12 + 4 * 5e-6, 1e-15);
  EXPECT_NEAR(e.attention.count(), 2 * (1000 / 1e12 + 5e-6), 1e-15);
}

TEST(StepParts, ChunksOfAStepShareOneKernel) {
  const StepTimeModel model(two_layers(), round_card(), {});
  const std::array one{PrefillChunk{64, 0, 1}}, same{PrefillChunk{64, 0, 3}};
  const std::array apart{PrefillChunk{64, 0, 1}, PrefillChunk{64, 0, 1}, PrefillChunk{64, 0, 1}};
  const auto attention = [&](std::span<const PrefillChunk> chunks) {
    StepShape s;
    s.prefills = chunks;
    s.logit_rows = 1;
    return model.step_time(s).attention.count();
  };
  EXPECT_NEAR(attention(apart), attention(same), 1e-15);
  EXPECT_NEAR(attention(same) - attention(one), 2 * (attention(one) - 2 * 5e-6), 1e-15);
}

TEST(StepParts, AllReducesByHand) {
  // Four of 2,000 B over two ranks: latency + 2 (n-1)/n S/B each, B of PCIe, NVLink, or what all-reduces were seen to
  // do.
  StepTimeOptions two;
  two.tensor_parallel = 2;
  EXPECT_NEAR(StepTimeModel(two_layers(), round_card(), two).step_time(decodes(1, 1)).communication.count(),
              4 * (7e-6 + 2000 / 1e10), 1e-15);
  HardwareProfile linked = round_card();
  linked.nvlink_bandwidth = BytesPerSecond{1e11};
  EXPECT_NEAR(StepTimeModel(two_layers(), linked, two).step_time(decodes(1, 1)).communication.count(),
              4 * (7e-6 + 2000 / 1e11), 1e-15);
  linked.all_reduce_bandwidth = BytesPerSecond{5e10};
  EXPECT_NEAR(StepTimeModel(two_layers(), linked, two).step_time(decodes(1, 1)).communication.count(),
              4 * (7e-6 + 2000 / 5e10), 1e-15);
  EXPECT_EQ(StepTimeModel(two_layers(), linked, {}).step_time(decodes(1, 1)).communication.count(), 0);
}

TEST(StepParts, GrowingCacheIsCopiedFromItsSecondStepOn) {
  StepTimeOptions hf;
  hf.host.eager_launches = true;
  hf.kv_bytes_per_token = 2000;
  const StepTimeModel model(two_layers(), round_card(), hf);
  StepShape shape = decodes(1, 1);
  const StepTimeModel::Growth growth{1, 1, 1};
  EXPECT_EQ(model.decode_run(shape, growth, 10).steps, 1);
  EXPECT_NEAR(model.step_time(shape).host.count(), 9 * 20e-6, 1e-15);
  EXPECT_EQ(model.step_time(shape).cache_copy.count(), 0);
  shape.copied_context = 1;
  EXPECT_EQ(model.decode_run(shape, growth, 10).steps, 10);
  EXPECT_NEAR(model.step_time(shape).host.count(), 13 * 20e-6, 1e-15);  // K and V of two layers
  EXPECT_NEAR(model.step_time(shape).cache_copy.count(), 2 * 2000 / 1e12 + 4 * 5e-6, 1e-15);
}

TEST(StepParts, ARunEndsWhereTheGpuOvertakesTheHost) {
  // 40 us more of host than of GPU at the first step; a step adds 2 layers x 1,000 B x 1,000 tokens = 2 us.
  StepTimeOptions asynchronous;
  asynchronous.host.asynchronous = true;
  StepShape shape = decodes(1, 1'000);
  const StepTimeModel::Growth growth{1'000, 1'000, 0};
  const double gpu = StepTimeModel(two_layers(), round_card(), asynchronous).step_time(shape).gpu.count();
  asynchronous.host.per_step = Seconds{gpu + 41e-6};
  const StepTimeModel model(two_layers(), round_card(), asynchronous);
  const DecodeRun first = model.decode_run(shape, growth, 100);
  EXPECT_EQ(first.steps, 21);  // 0, 2, ... 40 us more of GPU
  EXPECT_EQ(first.slope.count(), 0);
  shape.decode_context += 21'000;
  shape.decode_windowed_context += 21'000;
  const DecodeRun second = model.decode_run(shape, growth, 100);
  EXPECT_EQ(second.steps, 100);
  EXPECT_NEAR(second.slope.count(), 2e-6, 1e-15);
  EXPECT_NEAR(second.first.count(), gpu + 42e-6, 1e-15);
}

TEST(StepParts, EvidenceIsThatOfTheNumbersUsed) {
  const auto evidence = [](const char* model, const char* card, WeightQuantization quantization) {
    StepTimeOptions o;
    o.forward.weights.quantization = quantization;
    return StepTimeModel(read_model(std::string(HEADROOM_SOURCE_DIR "/configs/models/") + model + ".yaml"),
                         read_hardware(std::string(HEADROOM_SOURCE_DIR "/configs/hardware/") + card + ".yaml"), o)
        .evidence();
  };
  const auto none = WeightQuantization::kNone;
  EXPECT_EQ(evidence("llama-3.1-8b", "h100-sxm", none), Evidence::kMeasured);
  EXPECT_EQ(evidence("llama-3.1-8b", "a10g", none), Evidence::kFitted);
  EXPECT_EQ(evidence("llama-3.1-8b", "v100-32gb", none), Evidence::kDatasheet);
}

// 1000 rows over the two products [1000, 1000] and none over the head: by hand on the round card (int8 at 2e14).
TEST(StepParts, QuantizedRowsMultiplyInTheirOwnType) {
  HardwareProfile card = round_card();
  card.overlap.exponent = 1;  // compute + memory
  card.peak[static_cast<std::size_t>(DType::kInt8)] = FlopsPerSecond{2e14};
  StepShape prompt = decodes(0, 0);
  const std::array chunk{PrefillChunk{1024, 0, 1}};
  prompt.prefills = chunk;
  const auto gemm = [&](double bytes_per_weight, std::optional<DType> quantized_to) {
    ForwardOps ops = two_layers();
    ops.gemms[0].weight_bytes_per_element = bytes_per_weight;
    ops.gemms[0].quantized_to = quantized_to;
    StepTimeOptions o;
    o.forward.quantized_activations = quantized_to;
    return StepTimeModel(ops, card, o).step_time(prompt).gemm.count() / 2;
  };
  const double flops = 2 * 1024 * 1e6, rows = 1024 * 1000;
  EXPECT_NEAR(gemm(2, {}), flops / 1e14 + (2e6 + rows * (2 + 2)) / 1e12 + 5e-6, 1e-12);
  // Weight-only: a quarter of the weights' bytes, the same arithmetic at 0.95 of the rate.
  EXPECT_NEAR(gemm(0.5, {}), flops / 0.95e14 + (0.5e6 + rows * (2 + 2)) / 1e12 + 5e-6, 1e-12);
  // W8A8: rows read, written and read again, at twice the rate, in two kernels.
  EXPECT_NEAR(gemm(1, DType::kInt8), flops / 2e14 + (1e6 + rows * (2 + 1 + 1 + 2)) / 1e12 + 10e-6, 1e-12);
}

TEST(StepParts, WhatEachFormatBuysOnAnH100) {
  const auto card = read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml");
  const auto shape = read_model(HEADROOM_SOURCE_DIR "/configs/models/llama-3.1-8b.yaml");
  const auto gemm = [&](WeightQuantization weights, std::optional<DType> activations, std::int64_t batch) {
    StepTimeOptions o;
    o.forward.weights.quantization = weights;
    o.forward.quantized_activations = activations;
    return StepTimeModel(shape, card, o).step_time(decodes(batch, 1)).gemm.count();
  };
  using enum WeightQuantization;
  // One row: bytes decide. 2,048 rows: arithmetic does, and int4 has none of its own.
  EXPECT_LT(gemm(kMarlin, {}, 1), 0.5 * gemm(kNone, {}, 1));
  EXPECT_LT(gemm(kFp8, DType::kFp8, 1), 0.8 * gemm(kNone, {}, 1));
  EXPECT_GT(gemm(kMarlin, {}, 2048), 0.95 * gemm(kNone, {}, 2048));
  EXPECT_LT(gemm(kFp8, DType::kFp8, 2048), 0.8 * gemm(kNone, {}, 2048));
  EXPECT_LT(gemm(kFp8, {}, 1), 0.7 * gemm(kNone, {}, 1));
}

TEST(StepParts, Fp8KeysAndValuesHalveWhatDecodeReads) {
  const auto card = read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml");
  const auto shape = read_model(HEADROOM_SOURCE_DIR "/configs/models/llama-3.1-8b.yaml");
  const auto attention = [&](DType kv) {
    StepTimeOptions o;
    o.forward.kv_dtype = kv;
    return StepTimeModel(shape, card, o).step_time(decodes(32, 8000)).attention.count();
  };
  EXPECT_NEAR(attention(DType::kFp8) / attention(DType::kFloat16), 0.5, 0.15);   // both measured
  EXPECT_NEAR(attention(DType::kInt8) / attention(DType::kFloat16), 0.5, 0.15);  // no table
}

TEST(StepParts, TimeNeverFallsWithWork) {
  for (const char* card : {"a10g", "h100-sxm", "l40s", "rtx-4090"}) {
    const StepTimeModel model(read_model(HEADROOM_SOURCE_DIR "/configs/models/llama-3.1-8b.yaml"),
                              read_hardware(std::string(HEADROOM_SOURCE_DIR "/configs/hardware/") + card + ".yaml"),
                              {});
    for (const std::int64_t batch : {1, 3, 16, 100, 300}) {
      double before = 0;
      for (std::int64_t context = 1; context < 200'000; context = context * 9 / 8 + 1) {
        const double now = model.step_time(decodes(batch, context)).gpu.count();
        ASSERT_GE(now, before * (1 - 1e-12)) << card << ' ' << batch << " x " << context;
        before = now;
      }
    }
    double before = 0;
    for (std::int64_t past = 0; past < 30'000; past = past * 5 / 4 + 1) {
      const std::array chunk{PrefillChunk{300, past, 1}};
      StepShape s;
      s.prefills = chunk;
      s.logit_rows = 1;
      const double now = model.step_time(s).gpu.count();
      ASSERT_GE(now, 0.9 * before) << card << " after " << past;  // where one measured curve takes over from another
      before = now;
    }
  }
}

}  // namespace
}  // namespace headroom
