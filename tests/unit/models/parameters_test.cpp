// Parameter counts to the unit, KV bytes, weight bytes.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sim/config/catalogue.h"

namespace headroom {
namespace {

ModelShape model(const std::string& name) {
  return read_model(HEADROOM_SOURCE_DIR "/configs/models/" + name + ".yaml");
}

TEST(Parameters, PublishedTotalsToTheUnit) {
  const std::pair<const char*, std::int64_t> totals[] = {{"llama-2-7b", 6'738'415'616},
                                                         {"llama-2-13b", 13'015'864'320},
                                                         {"llama-2-70b", 68'976'648'192},
                                                         {"llama-3-8b", 8'030'261'248},
                                                         {"llama-3.1-8b", 8'030'261'248},
                                                         {"llama-3.1-70b", 70'553'706'496},
                                                         {"llama-3.2-1b", 1'235'814'400},
                                                         {"mistral-7b", 7'241'732'096},
                                                         {"qwen2.5-7b", 7'615'616'512},
                                                         {"qwen2.5-0.5b", 494'032'768},
                                                         {"qwen3-8b", 8'190'735'360},
                                                         {"qwen3-0.6b", 596'049'920},
                                                         {"qwen3-32b", 32'762'123'264},
                                                         {"opt-125m", 125'239'296},
                                                         {"opt-1.3b", 1'315'758'080},
                                                         {"opt-6.7b", 6'658'473'984},
                                                         {"opt-13b", 12'853'473'280},
                                                         {"opt-30b", 29'974'540'288},
                                                         {"gpt2", 124'439'808},
                                                         {"pythia-160m", 162'322'944},
                                                         {"pythia-1b", 1'011'781'632},
                                                         {"pythia-6.9b", 6'857'302'016},
                                                         {"falcon-7b", 6'921'720'704},
                                                         {"gemma-2-9b", 9'241'705'984},
                                                         {"gemma-2-2b", 2'614'341'888},
                                                         {"mixtral-8x7b", 46'702'792'704},
                                                         {"qwen3-30b-a3b", 30'532'122'624},
                                                         {"deepseek-v3", 671'026'419'200},
                                                         {"deepseek-v2", 235'741'434'880},
                                                         {"deepseek-v2-lite", 15'706'484'224}};
  for (const auto& [name, total] : totals) EXPECT_EQ(count_parameters(model(name)).total(), total) << name;
}

TEST(Parameters, MeasuredOnACard) {
  std::ifstream file(HEADROOM_SOURCE_DIR "/validate/data/h100_weights.csv");
  std::string line;
  std::getline(file, line);
  int rows = 0;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string name, dtype, parameters, bytes;
    std::getline(fields, name, ',');
    std::getline(fields, dtype, ',');
    std::getline(fields, parameters, ',');
    std::getline(fields, bytes, ',');
    const ModelShape m = model(name);
    EXPECT_EQ(count_parameters(m).total(), std::stoll(parameters)) << name;
    WeightOptions options;
    options.dtype = *dtype_named(dtype);
    const std::int64_t beside = std::stoll(bytes) - weight_bytes(m, options).count();
    // What is allocated beside the weights: cuBLAS's workspace of 32 MiB, rotary tables, rounding to 512 bytes.
    EXPECT_GE(beside, 32 * kMiB) << name;
    EXPECT_LE(beside, 38 * kMiB) << name;
    ++rows;
  }
  EXPECT_EQ(rows, 7);
}

TEST(Parameters, ActiveOnesOfExperts) {
  // Mixtral: 2 of 8 experts; the published figure is 12.9 B. Qwen3-30B-A3B: 3.3 B. DeepSeek-V3: 37 B.
  EXPECT_EQ(count_active_parameters(model("mixtral-8x7b")), 46'702'792'704 - 32LL * 6 * 3 * 4096 * 14336);
  EXPECT_NEAR(static_cast<double>(count_active_parameters(model("qwen3-30b-a3b"))), 3.3e9, 0.1e9);
  EXPECT_NEAR(static_cast<double>(count_active_parameters(model("deepseek-v3"))), 37.5e9, 1e9);
  EXPECT_EQ(count_active_parameters(model("gpt2")), 124'439'808);
}

TEST(KvBytes, PerTokenOfEveryKindOfAttention) {
  EXPECT_EQ(kv_bytes_per_token(model("llama-2-7b"), DType::kFloat16).count(), 524'288);     // MHA
  EXPECT_EQ(kv_bytes_per_token(model("llama-3.1-8b"), DType::kBfloat16).count(), 131'072);  // GQA
  EXPECT_EQ(kv_bytes_per_token(model("opt-13b"), DType::kFloat16).count(), 819'200);
  EXPECT_EQ(kv_bytes_per_token(model("falcon-7b"), DType::kBfloat16).count(), 2 * 32 * 64 * 2);  // MQA
  EXPECT_EQ(kv_bytes_per_token(model("deepseek-v3"), DType::kBfloat16).count(), 70'272);         // MLA
  EXPECT_EQ(kv_bytes_per_token(model("qwen3-8b"), DType::kBfloat16).count(), 147'456);
  EXPECT_EQ(kv_bytes_per_token(model("llama-3.1-8b"), DType::kFp8).count(), 65'536);
}

TEST(KvBytes, TensorParallelRanksShareHeadsUntilThereIsOne) {
  const ModelShape llama = model("llama-3.1-8b");
  EXPECT_EQ(kv_bytes_per_token(llama, DType::kFloat16, 8).count(), 131'072 / 8);
  EXPECT_EQ(kv_bytes_per_token(llama, DType::kFloat16, 16).count(), 131'072 / 8);
  EXPECT_EQ(kv_bytes_per_token(model("deepseek-v3"), DType::kFloat16, 8).count(), 70'272);  // the latent is replicated
}

TEST(KvBytes, WindowsCapWhatALayerKeeps) {
  const ModelShape mistral = model("mistral-7b"), gemma = model("gemma-2-9b");
  EXPECT_EQ(kv_bytes(mistral, Tokens{4096}, DType::kFloat16), kv_bytes(mistral, Tokens{9000}, DType::kFloat16));
  EXPECT_LT(kv_bytes(mistral, Tokens{4095}, DType::kFloat16), kv_bytes(mistral, Tokens{4096}, DType::kFloat16));
  const std::int64_t per_layer = 2 * 8 * 256 * 2;
  EXPECT_EQ(kv_bytes(gemma, Tokens{8192}, DType::kBfloat16).count(), 21 * per_layer * (4096 + 8192));
}

TEST(WeightBytes, QuantizedFormats) {
  const ModelShape m = model("llama-2-7b");
  const auto bytes = [&](WeightQuantization q) {
    WeightOptions o;
    o.quantization = q;
    return static_cast<double>(weight_bytes(m, o).count());
  };
  const double kept = 2.0 * (2 * 32000.0 * 4096 + 65 * 4096);  // embedding, LM head, norms
  const double linear = 6'738'415'616 - (2 * 32000.0 * 4096 + 65 * 4096);
  EXPECT_DOUBLE_EQ(bytes(WeightQuantization::kNone), 2.0 * 6'738'415'616);
  EXPECT_NEAR(bytes(WeightQuantization::kAwq) - kept, linear * (0.5 + 2.5 / 128), linear * 1e-4);
  EXPECT_NEAR(bytes(WeightQuantization::kMarlin) - kept, linear * 0.515625, linear * 1e-4);
  EXPECT_NEAR(bytes(WeightQuantization::kMxfp4) - kept, linear * (0.5 + 1.0 / 32), linear * 1e-4);
  EXPECT_NEAR(bytes(WeightQuantization::kNvfp4) - kept, linear * (0.5 + 1.0 / 16), linear * 1e-4);
  EXPECT_NEAR(bytes(WeightQuantization::kFp8Block) - kept, linear * (1 + 4.0 / 16384), linear * 1e-4);
  EXPECT_NEAR(bytes(WeightQuantization::kInt8) - kept, linear, linear * 2e-3);
  EXPECT_LT(bytes(WeightQuantization::kNf4), bytes(WeightQuantization::kAwq));
}

TEST(WeightBytes, RanksShareWhatCanBeShared) {
  const ModelShape m = model("llama-2-7b");
  WeightOptions o;
  const std::int64_t whole = weight_bytes(m, o).count();
  o.tensor_parallel = 4;
  const std::int64_t norms = 2 * 65 * 4096;
  EXPECT_EQ(weight_bytes(m, o).count(), (whole - norms) / 4 + norms);
}

}  // namespace
}  // namespace headroom
