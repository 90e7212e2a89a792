// Presets, variants, overrides: what reaches the engine.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/config/scenario_reader.h"

namespace headroom {
namespace {

ScenarioFile load(const std::string& text, std::vector<std::string> overrides = {}) {
  const std::string file =
      (std::filesystem::temp_directory_path() / ("headroom_s" + std::to_string(getpid()) + ".yaml")).string();
  std::ofstream(file) << text;
  LoadOptions options;
  options.overrides = std::move(overrides);
  return load_scenario(file, options);
}

// The scenario of the design document, word for word.
const char* kDesign = R"(name: chat on one A10G
model: llama-2-7b                 # a name under configs/models, or a path to a Hugging Face config.json
hardware: a10g                    # a name under configs/hardware, or a path
dtype: float16                    # weights and activations; quantization: {weights: awq, kv_cache: fp8}
cluster: {replicas: 1, tensor_parallel_size: 1, pipeline_parallel_size: 1, router: round-robin}
engine:
  preset: vllm-v1-2025            # hf-generate, hf-continuous, fastertransformer, orca, vllm-v0, ...
  kv_allocator: paged             # contiguous-max, contiguous-pow2, contiguous-exact, dynamic, paged
  block_size: 16
  max_num_seqs: 256
  max_num_batched_tokens: 2048
  gpu_memory_utilization: 0.9
  enable_prefix_caching: true
  attention: flash                # or eager
techniques: {zero_stage: 0, zero_offload: none, gradient_checkpointing: false, autograd: false}
workload:
  requests: 1000
  arrivals: {process: poisson, rate: 4/s}
  prompt_tokens: {distribution: lognormal, mean: 161, cv: 1.1, max: 1024}
  output_tokens: {distribution: lognormal, mean: 338, cv: 1.0, max: 1024}
slo: {ttft: 1 s, tpot: 60 ms}
variants:
  hf:   {engine: {preset: hf-generate, max_num_seqs: 8}}
  vllm: {engine: {preset: vllm-v1-2025}}
)";

TEST(Scenario, TheDesignsExampleLoads) {
  const ScenarioFile file = load(kDesign);
  ASSERT_EQ(file.variants.size(), 2U);
  const EngineSpec &hf = file.variants[0].second.engine, &vllm = file.variants[1].second.engine;
  EXPECT_EQ(hf.scheduler.scheduler, "hf-generate");
  EXPECT_EQ(hf.kv_allocator, "dynamic") << "keys beside another preset are not inherited";
  EXPECT_EQ(hf.scheduler.max_num_seqs, 8);
  EXPECT_EQ(vllm.scheduler.scheduler, "vllm-v1");
  EXPECT_NE(file.variants[0].second.sha256, file.variants[1].second.sha256);
}

TEST(Scenario, OverridesLieOverEveryVariant) {
  const ScenarioFile file =
      load(kDesign, {"engine.max_num_seqs=3", "workload.requests=7", "workload.arrivals.rate=9/s"});
  for (const auto& [name, s] : file.variants) {
    EXPECT_EQ(s.engine.scheduler.max_num_seqs, 3) << name;
    EXPECT_EQ(s.workload.requests, 7) << name;
    EXPECT_EQ(s.workload.arrivals.rate, 9) << name;
  }
  EXPECT_EQ(load(kDesign, {"variants.hf.engine.max_num_seqs=2"}).variants[0].second.engine.scheduler.max_num_seqs, 2);
  EXPECT_EQ(load(kDesign, {"workload.requests=7", "workload.requests=8"}).variants[0].second.workload.requests, 8)
      << "the last one";
}

TEST(Scenario, LargeCardsHaveOtherDefaults) {
  const std::string text =
      "model: llama-3.1-8b\nhardware: CARD\nengine: {preset: vllm-v1-2025}\nworkload:\n  requests: 1\n"
      "  arrivals: {process: batch}\n  prompt_tokens: 10\n  output_tokens: 10\n";
  const auto seqs = [&](const char* card) {
    std::string t = text;
    t.replace(t.find("CARD"), 4, card);
    return load(t).variants[0].second.engine.scheduler.max_num_seqs;
  };
  EXPECT_EQ(seqs("h100-sxm"), 1024);
  EXPECT_EQ(seqs("a100-80gb"), 256) << "the A100 is excepted";
  EXPECT_EQ(seqs("rtx-4090"), 256);
}

TEST(Scenario, GraphsAreCapturedUnlessEager) {
  const std::string text =
      "model: opt-1.3b\nhardware: a10g\nengine: {preset: vllm-v1-2025, enforce_eager: EAGER}\nworkload:\n  requests: "
      "1\n"
      "  arrivals: {process: batch}\n  prompt_tokens: 10\n  output_tokens: 10\n";
  std::string eager = text, graphs = text;
  eager.replace(eager.find("EAGER"), 5, "true");
  graphs.replace(graphs.find("EAGER"), 5, "false");
  EXPECT_TRUE(load(eager).variants[0].second.engine.host.graph_sizes.empty());
  EXPECT_TRUE(load(eager).variants[0].second.engine.host.eager_launches);
  const auto sizes = load(graphs).variants[0].second.engine.host.graph_sizes;
  EXPECT_EQ(sizes.front(), 1);
  EXPECT_EQ(sizes.back(), 512);
}

}  // namespace
}  // namespace headroom
