// What is read off the operator graph: parameters, FLOPs, and the activation peak against the closed forms and a card.
#include "models/operator_graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "models/generate_peak.h"
#include "sim/config/catalogue.h"

namespace headroom {
namespace {

ModelShape model(const std::string& name) {
  return read_model(HEADROOM_SOURCE_DIR "/configs/models/" + name + ".yaml");
}

TEST(OperatorGraph, HoldsEveryParameter) {
  for (const char* name :
       {"gpt2", "opt-1.3b", "llama-2-7b", "qwen3-8b", "gemma-2-9b", "mixtral-8x7b", "deepseek-v3", "falcon-7b"})
    for (const ExecutionStyle style : {ExecutionStyle::kFused, ExecutionStyle::kEager}) {
      ForwardOptions options;
      options.style = style;
      const ModelShape m = model(name);
      EXPECT_EQ(OperatorGraph(m, options, {}).parameters(), count_parameters(m).total()) << name;
    }
}

TEST(OperatorGraph, FlopsOfADenseModelAreTwoPerWeightAndToken) {
  const ModelShape m = model("llama-2-7b");
  OperatorGraph::PassShape pass;
  pass.tokens = 512;
  pass.sequences = 1;
  const double linear = 2.0 * 512 * (6'738'415'616.0 - 2 * 32000.0 * 4096 - 65 * 4096) + 2.0 * 32000 * 4096;
  const double attention = 32 * 4.0 * 4096 * (512.0 * 513 / 2);
  EXPECT_NEAR(OperatorGraph(m, {}, pass).flops().count(), linear + attention, 0.01 * linear);
}

TEST(OperatorGraph, FoldedOpsAgreeWithTheGraph) {
  for (const char* name : {"opt-1.3b", "llama-3.1-8b", "mixtral-8x7b", "gemma-2-9b"}) {
    const ModelShape m = model(name);
    const ForwardOps ops = forward_ops(m, {});
    double weights = 0;
    for (const GemmOp& g : ops.gemms)
      weights += static_cast<double>(g.count * g.num_experts) * static_cast<double>(g.k * g.n);
    const ParameterCount p = count_parameters(m);
    const double matrices = static_cast<double>(p.attention + p.mlp + p.experts + p.routers) +
                            static_cast<double>(m.vocab_size) * static_cast<double>(m.hidden_size);
    EXPECT_NEAR(weights, matrices, 2e-3 * matrices) << name;
    std::int64_t layers = 0;
    for (const AttentionOp& a : ops.attention) layers += a.layers;
    EXPECT_EQ(layers, m.num_layers) << name;
  }
}

TEST(OperatorGraph, InferencePeakDoesNotGrowWithDepth) {
  ModelShape shallow = model("llama-2-7b"), deep = shallow;
  deep.num_layers = 64;
  OperatorGraph::PassShape pass;
  pass.tokens = 4096;
  EXPECT_EQ(OperatorGraph(shallow, {}, pass).activation_peak(), OperatorGraph(deep, {}, pass).activation_peak());
}

// One sequence of S tokens, 32 heads, fp16: eager holds S^2 scores a head in fp16 and twice in fp32, and a mask; flash
// holds four bytes a row (SEMANTICS 5.5). Both have the same other tensors at that place.
TEST(OperatorGraph, EagerAttentionHoldsTheSquareOfTheLength) {
  ForwardOptions flash, eager;
  flash.style = eager.style = ExecutionStyle::kEager;
  eager.attention = AttentionKernel::kEager;
  const ModelShape m = model("llama-2-7b");
  const auto peak = [&](const ForwardOptions& options, std::int64_t tokens) {
    OperatorGraph::PassShape pass;
    pass.tokens = tokens;
    return OperatorGraph(m, options, pass).activation_peak().count();
  };
  for (const std::int64_t s : {4096, 8192}) {
    // Beside the scores: q, k, v are gone but q, normed, the layer's input, the output, embeddings, position tables.
    const std::int64_t width = m.hidden_size * 2, tables = s * (16 + 2 * 128 * 2);
    const std::int64_t others = tables + 5 * s * width;
    EXPECT_EQ(peak(eager, s), others + 32 * s * s * (2 + 8) + s * s * 2) << s;
  }
  EXPECT_LT(peak(flash, 8192), 2 * peak(flash, 4096) + 1'000'000);  // linear
}

// A call for one token is a prefill and no more: KV of the prompt, and scores of its tokens against themselves only.
TEST(OperatorGraph, AGenerateCallForOneTokenHoldsItsPrefill) {
  ForwardOptions eager;
  eager.style = ExecutionStyle::kEager;
  eager.attention = AttentionKernel::kEager;
  const std::int64_t s = 4096, h = 4096, heads = 32, layers = 32;
  const std::int64_t kv = s * layers * 2 * h * 2, tables = s * (16 + 2 * 128 * 2);
  EXPECT_EQ(generate_peak(model("llama-2-7b"), eager, {1, s, 1, false}).count(),
            kv + tables + 5 * s * h * 2 + heads * s * s * (2 + 8) + s * s * 2);
}

struct Row {
  std::string model, dtype, attention, cache;
  std::int64_t batch, prompt, tokens, peak, before;
};
std::vector<Row> measured() {
  std::ifstream file(HEADROOM_SOURCE_DIR "/validate/data/h100_hf_generate.csv");
  std::string line;
  std::getline(file, line);
  std::vector<Row> rows;
  while (std::getline(file, line)) {
    std::istringstream stream(line);
    std::vector<std::string> f;
    for (std::string field; std::getline(stream, field, ',');) f.push_back(field);
    if (f[1] != "hf-generate") continue;
    rows.push_back({f[4], f[5], f[6], f[7], std::stoll(f[8]), std::stoll(f[9]), std::stoll(f[10]), std::stoll(f[17]),
                    std::stoll(f[18])});
  }
  return rows;
}

// Peak of generate() on an H100: what was there before, the cache, and the pass's temporaries.
TEST(OperatorGraph, PeakOfHuggingFaceGenerateOnACard) {
  int rows = 0;
  double worst = 0;
  for (const Row& r : measured()) {
    SCOPED_TRACE(r.model + " " + r.dtype + " " + r.attention + " " + r.cache + " batch " + std::to_string(r.batch) +
                 " prompt " + std::to_string(r.prompt));
    const ModelShape m = model(r.model);
    ForwardOptions options;
    options.style = ExecutionStyle::kEager;
    options.activation_dtype = options.kv_dtype = options.weights.dtype = *dtype_named(r.dtype);
    options.attention = r.attention == "eager" ? AttentionKernel::kEager : AttentionKernel::kFlash;
    const GenerateCall call{r.batch, r.prompt, r.tokens, r.cache == "static"};
    const double predicted = static_cast<double>(r.before + generate_peak(m, options, call).count());
    const double error = predicted / static_cast<double>(r.peak) - 1;
    worst = std::max(worst, std::abs(error));
    std::printf("%-14s %-9s %-6s %-8s %4ld x %5ld + %4ld  %+.3f %%\n", r.model.c_str(), r.dtype.c_str(),
                r.attention.c_str(), r.cache.c_str(), static_cast<long>(r.batch), static_cast<long>(r.prompt),
                static_cast<long>(r.tokens), 100 * error);
    EXPECT_LT(std::abs(error), r.attention == "eager" ? 0.03 : 0.02);
    ++rows;
  }
  EXPECT_GE(rows, 20);
}

}  // namespace
}  // namespace headroom
