// Presets, variants, overrides: what reaches the engine.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/config/catalogue.h"
#include "sim/config/scenario_derive.h"
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

const char* kTechniques = R"(model: llama-2-7b
hardware: a10g
cluster: {replicas: 4, node: node-g5.48xlarge}
engine: {preset: hf-generate, max_num_seqs: 1}
workload: {requests: 10, arrivals: {process: batch}, prompt_tokens: 512, output_tokens: 50}
)";

TEST(Scenario, TechniquesReachTheMemoryPlan) {
  const auto plan = [](std::vector<std::string> set) {
    return load(kTechniques, std::move(set)).variants.front().second.memory;
  };
  const MemoryPlan plain = plan({});
  for (const char* set : {"techniques.zero_stage=1", "techniques.zero_stage=2",
                          "techniques.gradient_checkpointing=full", "techniques.gradient_checkpointing=4"}) {
    const MemoryPlan same = plan({set});
    EXPECT_EQ(same.weights, plain.weights) << set;
    EXPECT_EQ(same.activation_peak, plain.activation_peak) << set;
    EXPECT_EQ(same.kv_pool_tokens, plain.kv_pool_tokens) << set;
  }
  const MemoryPlan sharded = plan({"techniques.zero_stage=3"});
  EXPECT_EQ(sharded.gathered_weights.count(), 2 * 404'750'336);
  EXPECT_LT(sharded.weights.count(), plain.weights.count() / 4 + 2 * 404'750'336 + 1'000'000);
  const MemoryPlan offloaded = plan({"techniques={zero_stage: 3, zero_offload: cpu}"});
  EXPECT_LT(offloaded.weights.count(), 2 * 404'750'336 + 1'000'000);
  const MemoryPlan forgotten = plan({"techniques.autograd=true"});
  EXPECT_GT(forgotten.kept_by_autograd.count(), 0);
  EXPECT_EQ(forgotten.activation_peak, plain.activation_peak + forgotten.kept_by_autograd);
  const MemoryPlan checkpointed = plan({"techniques={autograd: true, gradient_checkpointing: true}"});
  EXPECT_LT(checkpointed.kept_by_autograd.count(), forgotten.kept_by_autograd.count() / 5);
}

// Eight ranks in one machine, and on eight machines of one GPU: the slower of what is inside and the network; a tree of
// three levels, two hops each, in an all-reduce, a ring of seven hops in a gather.
TEST(Scenario, CollectivesFollowTheMachine) {
  const auto options = [](const char* node, const char* how) {
    return step_time_options(load(kTechniques, {"model=llama-3.1-8b", "hardware=h100-sxm",
                                                "cluster={replicas: 8, node: " + std::string(node) + "}", how})
                                 .variants.front()
                                 .second);
  };
  const char* split = "cluster={replicas: 1, tensor_parallel_size: 8}";
  const HardwareProfile card = read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml");
  const CollectiveLink inside = *options("node-8xh100-nvswitch", split).all_reduce;
  EXPECT_EQ(inside.bandwidth, card.all_reduce_bandwidth);
  EXPECT_EQ(inside.latency, card.collective_latency);
  EXPECT_EQ(options("node-8xh100-pcie", split).all_reduce->bandwidth.rate(), 24e9);
  const CollectiveLink ethernet = *options("node-1xh100-25gbe", split).all_reduce;
  EXPECT_EQ(ethernet.bandwidth.rate(), 3.125e9);
  EXPECT_NEAR((ethernet.latency - card.collective_latency).count(), 6 * 30e-6, 1e-12);

  const double layer = 2.0 * 218'103'808;  // bytes: 2 h^2 + 2 h 1024 + 3 h 14336, norms stay everywhere
  EXPECT_NEAR(options("node-8xh100-nvswitch", "techniques.zero_stage=3").zero->layer.count(),
              card.collective_latency.count() + 7.0 / 8 * layer / 320e9, 1e-12);
  EXPECT_NEAR(options("node-1xh100-25gbe", "techniques.zero_stage=3").zero->layer.count(),
              card.collective_latency.count() + 7 * 30e-6 + 7.0 / 8 * layer / 3.125e9, 1e-12);
  EXPECT_FALSE(options("node-8xh100-nvswitch", "techniques.zero_stage=2").zero);
}

// Tensor parallelism cuts first, then the same rank of each replica keeps its share of that part.
TEST(Scenario, ZeroShardsWhatTensorParallelismLeaves) {
  const auto loaded = [](const std::string& node, const std::string& techniques) {
    return load(kTechniques,
                {"model=llama-3.1-8b", "hardware=h100-sxm",
                 "cluster={replicas: 4, tensor_parallel_size: 2, node: " + node + "}", "techniques=" + techniques})
        .variants.front()
        .second;
  };
  const HardwareProfile card = read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml");
  const double part = 218'103'808;  // bytes: half of a layer's matrices
  const Scenario s = loaded("node-8xh100-nvswitch", "{zero_stage: 3}");
  const ZeroWeights switched = *step_time_options(s).zero;
  EXPECT_NEAR(switched.layer.count(), card.collective_latency.count() + 3.0 / 4 * part / 320e9, 1e-12);
  EXPECT_NEAR(switched.layer_bytes, part, 1);
  // A quarter of the half: 32 layers and two of embedding and head of 128,256 x 4,096; norms are whole everywhere.
  const double shard = (32 * part + 2.0 * 128'256 * 4096) / 4, norms = 2.0 * (2 * 32 + 1) * 4096;
  EXPECT_NEAR(static_cast<double>(switched.resident.count()), shard + norms, 1);
  EXPECT_EQ(s.memory.weights, switched.resident + switched.gathered);
  // Offloaded: each of the four brings a quarter of its part, then they gather; over PCIe both rings at once, and each
  // of the eight over its own link.
  const ZeroWeights pcie = *step_time_options(loaded("node-8xh100-pcie", "{zero_stage: 3, zero_offload: cpu}")).zero;
  EXPECT_NEAR(pcie.layer.count(), part / 4 / 50e9 + 10e-6 + 3.0 / 4 * part / 24e9, 1e-12);
  // From drives: all eight parts come from the same 28 GB/s.
  const ZeroWeights nvme =
      *step_time_options(loaded("node-8xh100-pcie", "{zero_stage: 3, zero_offload: nvme, zero_prefetch_layers: 0}"))
           .zero;
  EXPECT_NEAR(nvme.layer.count() - pcie.layer.count(), 2 * part / 28e9, 1e-12);
}

TEST(Scenario, TechniquesReadBackAsResolved) {
  const Scenario s =
      load(kTechniques,
           {"techniques={zero_stage: 3, zero_offload: nvme, zero_prefetch_layers: 2, zero_pinned_fraction: "
            "0.25, zero_shard_size: 1, gradient_checkpointing: selective, autograd: true}"})
          .variants.front()
          .second;
  EXPECT_EQ(load(s.resolved).variants.front().second.resolved, s.resolved);
  EXPECT_NE(s.resolved.find("zero_offload: nvme"), std::string::npos);
  EXPECT_NEAR(s.hardware.price_per_hour.count(), 16.288 / 8, 1e-12);
}

}  // namespace
}  // namespace headroom
