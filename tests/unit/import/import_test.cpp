#include "sim/import/import.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/config/scenario_derive.h"
#include "sim/config/scenario_reader.h"
#include "sim/output/vllm_flags.h"

namespace headroom {
namespace {

Imported from_command(const std::string& line, const ImportOptions& options = {}) {
  VllmLog log;
  log.command = parse_vllm_command(split_command(line));
  return import_vllm(log, "a command line", options);
}

Scenario loaded(const Imported& imported) {
  Shelf shelf;
  shelf.add("imported", parse_yaml(imported.scenario, "imported"));
  return load_scenario("imported", {}, shelf).variants.front().second;
}

bool warned(const Imported& imported, std::string_view words) {
  return std::any_of(imported.warnings.begin(), imported.warnings.end(),
                     [&](const std::string& w) { return w.find(words) != std::string::npos; });
}

TEST(Import, FlagsBecomeKeys) {
  const Imported imported = from_command(
      "vllm serve meta-llama/Llama-3.1-8B-Instruct --dtype half -tp 2 --max-model-len 8K --max-num-seqs 64 "
      "--block-size 32 "
      "--gpu-memory-utilization 0.85 --no-enable-prefix-caching --kv-cache-dtype fp8_e4m3 --port 80 --api-key secret",
      {.model = "", .hardware = "a100-80gb", .version = ""});
  const Scenario s = loaded(imported);
  EXPECT_EQ(s.model.num_layers, 32);
  EXPECT_EQ(s.hardware.name, "a100-80gb");
  EXPECT_EQ(s.dtype, DType::kFloat16);
  EXPECT_EQ(s.kv_dtype, DType::kFp8);
  EXPECT_EQ(s.cluster.tensor_parallel_size, 2);
  EXPECT_EQ(s.engine.preset, "vllm-v1-2026");
  EXPECT_EQ(s.engine.scheduler.max_model_len, 8192);
  EXPECT_EQ(s.engine.scheduler.max_num_seqs, 64);
  EXPECT_EQ(s.engine.block_size, 32);
  EXPECT_EQ(s.engine.gpu_memory_utilization, 0.85);
  EXPECT_FALSE(s.engine.enable_prefix_caching);
  EXPECT_TRUE(imported.warnings.empty()) << imported.warnings.front();
  EXPECT_NE(imported.scenario.find("#   --port 80\n"), std::string::npos);
  EXPECT_EQ(imported.scenario.find("secret"), std::string::npos) << "a key is nobody's business";
}

TEST(Import, VersionsChooseThePreset) {
  const std::pair<const char*, const char*> cases[] = {{"0.5.4", "vllm-v0"},
                                                       {"0.7.3", "vllm-v0"},
                                                       {"0.8.5.post1", "vllm-v1-2025"},
                                                       {"0.16.0", "vllm-v1-2025"},
                                                       {"0.21.0", "vllm-v1-2026"},
                                                       {"0.29.1", "vllm-v1-2026"},
                                                       {"0.1.dev16931+gd4004455d", "vllm-v1-2026"},
                                                       {"", "vllm-v1-2026"}};
  for (const auto& [version, preset] : cases) {
    const Imported imported = from_command("vllm serve opt-1.3b", {.model = "", .hardware = "l4", .version = version});
    EXPECT_EQ(loaded(imported).engine.preset, preset) << version;
  }
  EXPECT_TRUE(loaded(from_command("vllm serve opt-1.3b", {.model = "", .hardware = "l4", .version = "0.16"}))
                  .engine.host.asynchronous);
  EXPECT_EQ(loaded(from_command("VLLM_USE_V1=0 vllm serve opt-1.3b --swap-space 8 --enable-chunked-prefill=false",
                                {.model = "", .hardware = "l4", .version = "0.8.5"}))
                .engine.swap_space,
            Bytes{8LL << 30});
}

TEST(Import, WhatMattersAndIsNotSimulatedIsAWarning) {
  const Imported imported =
      from_command("vllm serve opt-1.3b --enable-lora --cpu-offload-gb 10 -pp 2 --max-num-sequences 3 --tokenizer x",
                   {.model = "", .hardware = "l4", .version = ""});
  EXPECT_TRUE(warned(imported, "--enable-lora matters"));
  EXPECT_TRUE(warned(imported, "--cpu-offload-gb 10 matters"));
  EXPECT_FALSE(warned(imported, "pipeline"));
  EXPECT_TRUE(warned(imported, "did you mean '--max-num-seqs'?"));
  EXPECT_FALSE(warned(imported, "tokenizer"));
  EXPECT_EQ(loaded(imported).cluster.pipeline_parallel_size, 2);
}

TEST(Import, WhatDoesNotGoWithPipelineStagesIsLeftOut) {
  const Imported imported = from_command(
      "vllm serve opt-1.3b -pp 2 --kv-offloading-size 4 --speculative-config '{\"method\": \"ngram\", "
      "\"num_speculative_tokens\": 3}'",
      {.model = "", .hardware = "l4", .version = ""});
  EXPECT_TRUE(warned(imported, "--kv-offloading-size 4: not simulated together with pipeline stages"));
  EXPECT_TRUE(warned(imported, "3}: not simulated together with pipeline stages"));
  const Scenario s = loaded(imported);
  EXPECT_EQ(s.cluster.pipeline_parallel_size, 2);
  EXPECT_EQ(s.engine.kv_offloading_size, Bytes{0});
  EXPECT_EQ(s.engine.scheduler.speculation.num_tokens, 0);
}

TEST(Import, WholeExpertsOverAllRanks) {
  const Imported imported = from_command("vllm serve mixtral-8x7b -tp 2 -dp 4 --enable-expert-parallel",
                                         {.model = "", .hardware = "h100-sxm", .version = ""});
  const Scenario s = loaded(imported);
  EXPECT_TRUE(s.cluster.enable_expert_parallel);
  EXPECT_EQ(s.cluster.tensor_parallel_size * s.cluster.replicas, 8);
}

TEST(Import, AssumptionsAreSaid) {
  const Imported imported = from_command(
      "vllm serve Qwen/Qwen2.5-7B-Instruct-AWQ --speculative-config '{\"method\": \"eagle3\", "
      "\"num_speculative_tokens\": 3}'");
  EXPECT_TRUE(warned(imported, "h100-sxm is assumed"));
  EXPECT_TRUE(warned(imported, "quantized"));
  EXPECT_TRUE(warned(imported, "0.7 is assumed"));
  const Scenario s = loaded(imported);
  EXPECT_EQ(s.quantization, WeightQuantization::kMarlin);
  EXPECT_EQ(s.engine.scheduler.speculation.num_tokens, 3);
}

TEST(Import, TheLogsBlocksAreComparedWithThePrediction) {
  VllmLog log;
  log.command.settings = {{"model", "llama-3.1-8b"}, {"max-model-len", "8192"}};
  log.command.version = "0.8.5";
  log.device = "NVIDIA A10G";
  log.is_start_up = true;
  const Scenario plain = loaded(import_vllm(log, "x.log", {}));
  EXPECT_EQ(plain.hardware.name, "a10g");
  const MemoryPlan plan = plan_memory(plain.model, plain.hardware, memory_plan_input(plain));
  log.kv_tokens = plan.kv_pool_tokens.count() * 2;
  const Imported twice = import_vllm(log, "x.log", {});
  EXPECT_NE(twice.comparison.find("-50.0 %"), std::string::npos) << twice.comparison;
  EXPECT_NE(twice.scenario.find("# " + twice.comparison + "\n"), std::string::npos);
  log.kv_tokens.reset();
  log.gpu_blocks = plan.num_gpu_blocks.count();
  EXPECT_NE(import_vllm(log, "x.log", {}).comparison.find("+0.0 %"), std::string::npos);
}

TEST(Import, WhatCannotBecomeAScenarioIsAnError) {
  EXPECT_THROW(from_command("vllm serve org/nobody-knows-this"), ConfigError);
  EXPECT_THROW(from_command("vllm serve --port 8000"), ConfigError);
  EXPECT_THROW(from_command("vllm serve opt-1.3b --max-num-seqs lots"), ConfigError);
  EXPECT_THROW(from_command("vllm serve llama-3.1-70b", {.model = "", .hardware = "l4", .version = ""}), ConfigError)
      << "does not fit";
  EXPECT_THROW(from_command("vllm serve opt-1.3b", {.model = "", .hardware = "no-such-card", .version = ""}),
               ConfigError);
}

// What `plan` tells people to type comes back as the scenario it was made from.
TEST(Import, TheServeLineOfAScenarioComesBack) {
  for (const char* preset : {"vllm-v1-2025", "vllm-v1-2026"}) {
    LoadOptions options;
    options.overrides = {"model=llama-2-7b",
                         "engine.preset=" + std::string(preset),
                         "engine.max_num_seqs=48",
                         "engine.block_size=32",
                         "engine.gpu_memory_utilization=0.8",
                         "engine.max_model_len=2048",
                         "cluster.tensor_parallel_size=2",
                         "quantization.kv_cache=fp8"};
    const Scenario s =
        load_scenario(HEADROOM_SOURCE_DIR "/configs/scenarios/one-gpu-poisson.yaml", options).variants.front().second;
    const std::string line = vllm_serve_line(s);
    ASSERT_FALSE(line.empty());
    const Imported imported = from_command(
        line,
        {.model = "", .hardware = s.hardware.name, .version = preset == std::string("vllm-v1-2025") ? "0.10" : ""});
    EXPECT_TRUE(imported.warnings.empty()) << line << "\n" << imported.warnings.front();
    const Scenario back = loaded(imported);
    EXPECT_EQ(back.engine.preset, s.engine.preset);
    EXPECT_EQ(back.engine.scheduler.max_num_seqs, 48) << line;
    EXPECT_EQ(back.engine.block_size, 32) << line;
    EXPECT_EQ(back.engine.gpu_memory_utilization, 0.8) << line;
    EXPECT_EQ(back.engine.scheduler.max_model_len, 2048) << line;
    EXPECT_EQ(back.engine.scheduler.max_num_batched_tokens, s.engine.scheduler.max_num_batched_tokens) << line;
    EXPECT_EQ(back.cluster.tensor_parallel_size, 2) << line;
    EXPECT_EQ(back.kv_dtype, DType::kFp8) << line;
    EXPECT_EQ(back.dtype, s.dtype) << line;
  }
}

// Texts of a log end up in YAML comments and strings; none may open a key of its own.
TEST(Import, TextsCannotBecomeKeys) {
  const Imported imported =
      from_command("vllm serve opt-1.3b --served-model-name 'a\nseed: 7' --chat-template \"x\ny: 1\"",
                   {.model = "", .hardware = "l4", .version = ""});
  EXPECT_EQ(loaded(imported).seed, 0U);
}

}  // namespace
}  // namespace headroom
