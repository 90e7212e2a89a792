// Training graphs against the published formula (SEMANTICS 5.3) and against lists of tensors made by hand; gradient
// checkpointing as a change of the graph, and that there is nothing to change at inference.
#include <gtest/gtest.h>

#include <filesystem>

#include "models/operator_graph.h"
#include "sim/config/catalogue.h"

namespace headroom {
namespace {

using Mode = OperatorGraph::Mode;
using Kind = Checkpointing::Kind;

constexpr std::int64_t kSequence = 128, kBatch = 4, kTokens = kSequence * kBatch;
constexpr Checkpointing kSelective{Kind::kSelective, 1}, kFull{Kind::kLayers, 1};

ModelShape model(const std::string& name) {
  return read_model(HEADROOM_SOURCE_DIR "/configs/models/" + name + ".yaml");
}

struct Setting {
  ExecutionStyle style = ExecutionStyle::kFused;
  AttentionKernel attention = AttentionKernel::kFlash;
  bool dropout = false;
  std::int64_t tensor_parallel = 1;
  Mode mode = Mode::kTraining;
};

OperatorGraph graph(const ModelShape& m, const Setting& s) {
  ForwardOptions options;
  options.style = s.style;
  options.attention = s.attention;
  options.weights.tensor_parallel = s.tensor_parallel;
  OperatorGraph::PassShape pass;
  pass.tokens = pass.logit_rows = kTokens;
  pass.sequences = kBatch;
  pass.mode = s.mode;
  pass.dropout = s.dropout;
  return OperatorGraph(m, options, pass);
}

// Bytes kept for one more layer.
std::int64_t kept_a_layer(ModelShape m, const Setting& s, const Checkpointing& c = {}, std::int64_t layers = 1) {
  const std::int64_t first = m.experts ? m.experts->num_dense_layers + 1 : 2;
  m.num_layers = first * layers;
  const std::int64_t fewer = graph(m, s).checkpointed(c).saved_for_backward().count();
  m.num_layers += layers;
  return graph(m, s).checkpointed(c).saved_for_backward().count() - fewer;
}

// Megatron's GPT layer: softmax in fp16, dropout everywhere.
constexpr Setting kMegatron{ExecutionStyle::kFused, AttentionKernel::kEager, true, 1, Mode::kTraining};

TEST(TrainingGraph, KeepsWhatTheFormulaOfGptSays) {
  const ModelShape m = model("gpt2");
  const std::int64_t h = m.hidden_size, scores = 5 * m.num_heads * kSequence * kSequence * kBatch;
  EXPECT_EQ(kept_a_layer(m, kMegatron), 34 * kTokens * h + scores);
  EXPECT_EQ(kept_a_layer(m, kMegatron, kSelective), 34 * kTokens * h);
  EXPECT_EQ(kept_a_layer(m, kMegatron, kFull), 2 * kTokens * h);
  EXPECT_EQ(kept_a_layer(m, kMegatron, {Kind::kLayers, 3}, 3), 2 * kTokens * h);
  // Before and after the layers: a mask on the embedding, inputs of the last norm and of the head, fp32 logits.
  EXPECT_EQ(graph(m, kMegatron).saved_for_backward().count(),
            m.num_layers * (34 * kTokens * h + scores) + 5 * kTokens * h + 4 * kTokens * m.vocab_size);
}

TEST(TrainingGraph, TensorParallelismDividesWhatItShards) {
  const ModelShape m = model("gpt2");
  for (const std::int64_t t : {2, 4}) {
    Setting s = kMegatron;
    s.tensor_parallel = t;
    EXPECT_EQ(kept_a_layer(m, s),
              kTokens * m.hidden_size * (10 + 24 / t) + 5 * m.num_heads / t * kSequence * kSequence * kBatch);
  }
}

// ReLU's slope is known from its output, which the next product keeps anyway: 8 s b h less.
TEST(TrainingGraph, ReluKeepsOnlyItsOutput) {
  const ModelShape m = model("opt-1.3b");
  EXPECT_EQ(kept_a_layer(m, kMegatron),
            26 * kTokens * m.hidden_size + 5 * m.num_heads * kSequence * kSequence * kBatch);
}

// MLP beside attention: both norms read the layer's input, so no second input is kept; Falcon-7B has one norm for both.
TEST(TrainingGraph, ParallelLayersShareTheirInput) {
  const ModelShape pythia = model("pythia-1b");
  EXPECT_EQ(kept_a_layer(pythia, kMegatron),
            32 * kTokens * pythia.hidden_size + 5 * pythia.num_heads * kSequence * kSequence * kBatch);
  const ModelShape falcon = model("falcon-7b");
  const std::int64_t h = falcon.hidden_size, q = falcon.query_size(), k = falcon.kv_size();
  // input, normed; q, k, v; context; MLP before and after GELU (4 h each); row statistics.
  EXPECT_EQ(kept_a_layer(falcon, {}), kTokens * 2 * (2 * h + (q + 2 * k) + q + 8 * h) + kTokens * 4 * falcon.num_heads);
}

// Two inputs of norms, two normed, q k v, context, gate and up, their product; flash keeps a statistic of each row.
std::int64_t gated_layer(const ModelShape& m) {
  const std::int64_t h = m.hidden_size, q = m.query_size(), k = m.kv_size(), f = m.intermediate_size;
  return kTokens * (2 * (2 * h + 2 * h + (q + 2 * k) + q + 3 * f) + 4 * m.num_heads);
}

TEST(TrainingGraph, GatedFamiliesByHand) {
  for (const char* name : {"llama-2-7b", "llama-3.1-8b", "mistral-7b", "qwen2.5-7b"})
    EXPECT_EQ(kept_a_layer(model(name), {}), gated_layer(model(name))) << name;
  const ModelShape qwen = model("qwen3-8b");  // q and k before their norms
  EXPECT_EQ(kept_a_layer(qwen, {}), gated_layer(qwen) + kTokens * 2 * (qwen.query_size() + qwen.kv_size()));
  const ModelShape gemma = model("gemma-2-9b");  // inputs of the two norms after attention and MLP
  EXPECT_EQ(kept_a_layer(gemma, {}), gated_layer(gemma) + kTokens * 2 * 2 * gemma.hidden_size);
}

// Hugging Face's modules: each RMSNorm keeps an fp32 copy and the normalised tensor, SiLU and product keep their own.
TEST(TrainingGraph, EagerLlamaByHand) {
  const ModelShape m = model("llama-2-7b");
  const std::int64_t h = m.hidden_size, f = m.intermediate_size;
  const Setting eager{ExecutionStyle::kEager, AttentionKernel::kFlash, false, 1, Mode::kTraining};
  EXPECT_EQ(kept_a_layer(m, eager),
            kTokens * (2 * 6 * h + 2 * 2 * h + 3 * 2 * h + 2 * h + 4 * 2 * f + 4 * m.num_heads));
}

// In fp32 a norm's cast makes no copy: it keeps its input and the normalised tensor. Attention without a flash kernel
// keeps its probabilities, every key of every row.
TEST(TrainingGraph, EagerLlamaInSinglePrecisionByHand) {
  ModelShape m = model("llama-2-7b");
  const std::int64_t h = m.hidden_size, f = m.intermediate_size;
  ForwardOptions options;
  options.style = ExecutionStyle::kEager;
  options.activation_dtype = options.kv_dtype = options.weights.dtype = DType::kFloat32;
  OperatorGraph::PassShape pass;
  pass.tokens = pass.logit_rows = kTokens;
  pass.sequences = kBatch;
  pass.mode = Mode::kTraining;
  const auto kept = [&](std::int64_t layers) {
    m.num_layers = layers;
    return OperatorGraph(m, options, pass).saved_for_backward().count();
  };
  // Of two norms input, normalised, weighted; q k v, context; gate, SiLU, up, product; probabilities.
  EXPECT_EQ(kept(2) - kept(1), 4 * kTokens * (2 * 3 * h + 4 * h + 4 * f + m.num_heads * kSequence));
}

TEST(TrainingGraph, ExpertsByHand) {
  const ModelShape m = model("mixtral-8x7b");
  const std::int64_t h = m.hidden_size, q = m.query_size(), k = m.kv_size(), f = m.experts->intermediate_size;
  const std::int64_t rows = kTokens * m.experts->experts_per_token;
  const std::int64_t attention = kTokens * (2 * (2 * h + 2 * h + (q + 2 * k) + q) + 4 * m.num_heads);
  const std::int64_t router = kTokens * m.experts->num_experts * 4 + 8 * rows;
  EXPECT_EQ(kept_a_layer(m, {}), attention + router + rows * 2 * (h + 3 * f + h));
}

TEST(TrainingGraph, FlopsAndGradients) {
  const ModelShape m = model("llama-2-7b");
  Setting forward;
  forward.mode = Mode::kInference;
  const double once = graph(m, forward).flops().count();
  const OperatorGraph training = graph(m, {});
  EXPECT_NEAR(training.flops().count(), 3 * once, 1e-9 * once);
  const double head = 2.0 * kTokens * static_cast<double>(m.hidden_size * m.vocab_size);
  EXPECT_NEAR(training.checkpointed(kFull).flops().count(), 4 * once - head, 1e-9 * once);  // a third more
  EXPECT_EQ(training.parameters(), count_parameters(m).total());
  EXPECT_EQ(training.checkpointed(kFull).parameters(), count_parameters(m).total());
  EXPECT_EQ(training.weight_gradient_peak().count(), 2 * count_parameters(m).total());  // the 2 Psi of SEMANTICS 5.1
}

TEST(TrainingGraph, PeakFallsWithCheckpointsToTheRegionThatRunsAgain) {
  const ModelShape m = model("gpt2");
  const OperatorGraph training = graph(m, kMegatron);
  const auto peak = [&](const Checkpointing& c) { return training.checkpointed(c).activation_peak().count(); };
  EXPECT_GE(training.activation_peak(), training.saved_for_backward());
  EXPECT_LT(peak(kSelective), peak({}));
  EXPECT_LT(peak(kFull), peak(kSelective));
  EXPECT_GT(peak({Kind::kLayers, 12}), peak({Kind::kLayers, 3}));  // one region of everything saves nothing
  const std::int64_t layer = 34 * kTokens * m.hidden_size + 5 * m.num_heads * kSequence * kSequence * kBatch;
  const std::int64_t kept = training.checkpointed({Kind::kLayers, 6}).saved_for_backward().count();
  EXPECT_GE(peak({Kind::kLayers, 6}), kept - 4 * kTokens * m.vocab_size + 5 * layer);
}

std::vector<std::string> shipped_models() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(HEADROOM_SOURCE_DIR "/configs/models"))
    names.push_back(entry.path().stem().string());
  return names;
}

// No edge leads into a backward pass, so nothing is kept, and there is nothing to run again.
TEST(TrainingGraph, CheckpointingFindsNothingToDoAtInference) {
  int models = 0;
  for (const std::string& name : shipped_models())
    for (const ExecutionStyle style : {ExecutionStyle::kFused, ExecutionStyle::kEager}) {
      SCOPED_TRACE(name);
      Setting s;
      s.mode = Mode::kInference;
      s.style = style;
      const OperatorGraph plain = graph(model(name), s);
      EXPECT_EQ(plain.saved_for_backward().count(), 0);
      for (const Checkpointing& c : {kSelective, kFull, Checkpointing{Kind::kLayers, 4}})
        EXPECT_EQ(plain.checkpointed(c).to_dot(), plain.to_dot());
      s.mode = Mode::kTraining;
      const OperatorGraph training = graph(model(name), s);
      EXPECT_GT(training.saved_for_backward().count(), 0);
      EXPECT_LT(training.checkpointed(kFull).saved_for_backward(), training.saved_for_backward());
      EXPECT_LT(training.checkpointed(kFull).activation_peak(), training.activation_peak());
      ++models;
    }
  EXPECT_GE(models, 60);
}

// Somebody forgot torch.inference_mode: the sum over layers stays, and then checkpointing does help.
TEST(TrainingGraph, AutogradKeepsEveryLayer) {
  const ModelShape m = model("llama-2-7b");
  Setting s{ExecutionStyle::kEager, AttentionKernel::kFlash, false, 1, Mode::kAutograd};
  const std::int64_t h = m.hidden_size, f = m.intermediate_size;
  // As in training, but K and V live in the cache.
  const std::int64_t layer = kTokens * (2 * 6 * h + 2 * 2 * h + 2 * h + 2 * h + 4 * 2 * f + 4 * m.num_heads);
  EXPECT_EQ(kept_a_layer(m, s), layer);
  EXPECT_EQ(kept_a_layer(m, s, kFull), kTokens * 2 * h);
  const OperatorGraph forgotten = graph(m, s);
  s.mode = Mode::kInference;
  const OperatorGraph plain = graph(m, s);
  EXPECT_GT(forgotten.activation_peak().count(), m.num_layers * layer);
  EXPECT_LT(plain.activation_peak().count(), 3 * layer);
  EXPECT_LT(forgotten.checkpointed(kFull).activation_peak().count(),
            plain.activation_peak().count() + (m.num_layers + 8) * kTokens * 2 * h);
  EXPECT_EQ(forgotten.checkpointed(kFull).flops().count(), plain.flops().count());  // backward never runs
}

}  // namespace
}  // namespace headroom
