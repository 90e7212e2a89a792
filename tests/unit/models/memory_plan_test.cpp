// Where each byte of a GPU goes: sums to the byte, block counts by hand, and what is said when it does not fit.
#include "models/memory_plan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/config/catalogue.h"

namespace headroom {
namespace {

ModelShape model(const std::string& name) {
  return read_model(HEADROOM_SOURCE_DIR "/configs/models/" + name + ".yaml");
}
HardwareProfile card(const std::string& name) {
  return read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/" + name + ".yaml");
}

constexpr MemoryRule kRules[] = {MemoryRule::kCacheFlow,        MemoryRule::kVllmV0,
                                 MemoryRule::kVllmV1,           MemoryRule::kVllmV1GraphAware,
                                 MemoryRule::kHfGenerate,       MemoryRule::kHfContinuous2025,
                                 MemoryRule::kHfContinuous2026, MemoryRule::kFasterTransformer};

TEST(MemoryPlan, AddsUpToTheCardToTheByte) {
  int fitting = 0;
  for (const char* m :
       {"gpt2", "opt-13b", "llama-2-7b", "llama-3.1-70b", "mistral-7b", "gemma-2-9b", "mixtral-8x7b", "deepseek-v3"})
    for (const char* h : {"a10g", "a100-40gb", "h100-sxm", "h200-sxm"})
      for (const MemoryRule rule : kRules)
        for (const std::int64_t tp : {1, 2, 8}) {
          MemoryPlanInput in;
          in.rule = rule;
          in.tensor_parallel = tp;
          in.max_num_batched_tokens = 2048;
          in.prefill_tokens = 4096;
          in.null_block = rule == MemoryRule::kVllmV1;
          in.block_size = 16;
          const ModelShape shape = model(m);
          if (shape.num_heads % tp != 0) continue;
          const MemoryPlan p = plan_memory(shape, card(h), in);
          SCOPED_TRACE(std::string(m) + " on " + h + " rule " + std::to_string(static_cast<int>(rule)));
          if (!p.does_not_fit.empty()) {
            EXPECT_EQ(p.kv_pool.count(), 0);
            continue;
          }
          ++fitting;
          EXPECT_EQ(p.weights + p.activation_peak + p.context + p.other + p.kv_pool + p.unused, p.gpu);
          for (const Bytes part : {p.weights, p.activation_peak, p.context, p.other, p.kv_pool, p.unused})
            EXPECT_GE(part.count(), 0);
          EXPECT_EQ(p.kv_pool.count(), p.kv_pool_tokens.count() * p.kv_per_token.count());
        }
  EXPECT_GT(fitting, 200);
}

TEST(MemoryPlan, VllmV1BlocksByHand) {
  MemoryPlanInput in;
  in.null_block = true;
  const HardwareProfile h = card("a10g");
  const MemoryPlan p = plan_memory(model("llama-2-7b"), h, in);
  const auto requested = static_cast<std::int64_t>(std::ceil(static_cast<double>(h.memory.count()) * 0.9));
  const std::int64_t blocks = (requested - 2 * 6'738'415'616 - p.activation_peak.count()) / (16 * 524'288);
  EXPECT_EQ(p.num_gpu_blocks.count(), blocks - 1);  // one is the null block
}

double blocks(const char* name, const char* on, MemoryRule rule, double utilization, std::int64_t graphs) {
  MemoryPlanInput in;
  in.rule = rule;
  in.gpu_memory_utilization = utilization;
  in.forward.activation_dtype = in.forward.kv_dtype = in.forward.weights.dtype = DType::kBfloat16;
  in.cuda_graph_bytes = Bytes{graphs};
  in.null_block = true;
  return static_cast<double>(plan_memory(model(name), card(on), in).num_gpu_blocks.count());
}

// transformers' first continuous batching (SEMANTICS 1.6): a batch of 1 % of the cache's tokens has its hidden states,
// logits and inputs beside the cache, and under eager attention a mask of batch times cache.
TEST(MemoryPlan, HfContinuousOf2025SolvesForTheCache) {
  MemoryPlanInput in;
  in.rule = MemoryRule::kHfContinuous2025;
  in.block_size = 32;
  in.gpu_memory_utilization = 0.8;
  in.max_num_batched_tokens = 256;
  const auto planned = [&](AttentionKernel attention) {
    in.forward.attention = attention;
    return plan_memory(model("llama-2-7b"), card("a10g"), in);
  };
  const MemoryPlan flash = planned(AttentionKernel::kFlash), eager = planned(AttentionKernel::kEager);
  const double available = 0.8 * static_cast<double>((flash.gpu - flash.weights - flash.context).count());
  const double token = 524'288 + 4, batch_token = 2 * (4096 + 32'000) + 28 + 4;
  const auto n = static_cast<double>(flash.kv_pool_tokens.count()),
             m = static_cast<double>(eager.kv_pool_tokens.count());
  EXPECT_NEAR(n, available / (token + 0.01 * batch_token), 32) << "whole blocks";
  EXPECT_NEAR(m * (token + 0.01 * batch_token) + 0.02 * m * m, available, 33 * token);
  EXPECT_LT(m, n);
}

// Its successor: the batch is fixed, and beside each token of the cache one layer's K and V of it are read, with 16
// bytes of indices. A small model on a large card, so that a byte a token shows.
TEST(MemoryPlan, HfContinuousOf2026HasWhatTheBatchLeaves) {
  MemoryPlanInput in;
  in.rule = MemoryRule::kHfContinuous2026;
  in.block_size = 1;
  in.gpu_memory_utilization = 0.8;
  in.max_num_batched_tokens = 256;
  const MemoryPlan p = plan_memory(model("gpt2"), card("h100-sxm"), in);
  const double available = 0.8 * static_cast<double>((p.gpu - p.weights - p.context).count());
  const double batch = 256 * (2 * 768 + 4 * 50'257 + 28 + 28 + 16 + 16);
  EXPECT_EQ(p.activation_peak.count(), static_cast<std::int64_t>(batch));
  EXPECT_NEAR(static_cast<double>(p.kv_pool_tokens.count()), (available - batch) / (36'864 + (2 * 768 * 2 + 16) / 12.0),
              1);
}

TEST(MemoryPlan, AgainstMeasuredStarts) {
  // vLLM 0.19 on an RTX 4090: Llama-3.1-8B in bf16, util 0.9, 2,048 batched tokens, 256 sequences: 2,588 blocks.
  EXPECT_NEAR(blocks("llama-3.1-8b", "rtx-4090", MemoryRule::kVllmV1, 0.9, 0), 2588, 0.03 * 2588);
  // vLLM 0.27 on an A10G: Qwen3-8B in bf16: 33,424 tokens (another start of the same: 26,176).
  EXPECT_NEAR(16 * blocks("qwen3-8b", "a10g", MemoryRule::kVllmV1GraphAware, 0.92, 225'485'783), 33'424,
              0.035 * 33'424);
}

// PagedAttention (SOSP 2023), table 1: 15.7 K slots of OPT-13B on an A100 of 40 GB.
TEST(MemoryPlan, CacheFlowByHand) {
  MemoryPlanInput in;
  in.rule = MemoryRule::kCacheFlow;
  in.gpu_memory_utilization = 0.95;
  in.max_num_batched_tokens = 2560;
  const HardwareProfile h = card("a100-40gb");
  const MemoryPlan p = plan_memory(model("opt-13b"), h, in);
  const std::int64_t logits = std::int64_t{2} * 2560 * 50272 * 2;  // wider than 2 (4 h + h)
  const auto usable = static_cast<std::int64_t>(std::ceil(0.95 * static_cast<double>(h.memory.count())));
  const std::int64_t pool = usable - p.weights.count() - logits - kGiB;
  EXPECT_EQ(p.kv_pool_tokens.count(), pool / (16 * 40 * 2 * 5120 * 2) * 16);
  EXPECT_NEAR(static_cast<double>(p.kv_pool_tokens.count()), 15'700, 50);
}

TEST(MemoryPlan, OverridesReplaceTheRule) {
  MemoryPlanInput in;
  in.kv_cache_memory = Bytes{4 * kGiB};
  const ModelShape m = model("llama-2-7b");
  const HardwareProfile h = card("a10g");
  EXPECT_EQ(plan_memory(m, h, in).num_gpu_blocks.count(), 4 * kGiB / (16 * 524'288));
  in.num_gpu_blocks_override = Blocks{100};
  EXPECT_EQ(plan_memory(m, h, in).kv_pool_tokens.count(), 1600);
}

TEST(MemoryPlan, MoreBatchedTokensLeaveLessCache) {
  MemoryPlanInput small, large;
  small.max_num_batched_tokens = 2048;
  large.max_num_batched_tokens = 16384;
  const ModelShape m = model("llama-2-7b");
  const HardwareProfile h = card("a10g");
  EXPECT_GT(plan_memory(m, h, small).kv_pool, plan_memory(m, h, large).kv_pool);
}

TEST(MemoryPlan, SaysByHowMuchItDoesNotFitAndWhatWould) {
  const std::string text = plan_memory(model("llama-2-13b"), card("a10g"), {}).does_not_fit;
  EXPECT_NE(text.find("weights 24.24 GiB"), std::string::npos) << text;
  EXPECT_NE(text.find(" by 4."), std::string::npos) << text;
  EXPECT_NE(text.find("tensor_parallel_size: 2"), std::string::npos) << text;
  EXPECT_NE(text.find("quantization: {weights: int8}"), std::string::npos) << text;
  const std::string large = plan_memory(model("llama-3.1-70b"), card("h100-sxm"), {}).does_not_fit;
  EXPECT_NE(large.find("tensor_parallel_size: 2"), std::string::npos) << large;
}

}  // namespace
}  // namespace headroom
