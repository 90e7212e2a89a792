// Pipeline stages: vLLM's split, and what each stage holds.
#include "models/pipeline.h"

#include <gtest/gtest.h>

#include "models/memory_plan.h"
#include "sim/config/catalogue.h"

namespace headroom {
namespace {

using Parts = std::vector<std::int64_t>;

TEST(Pipeline, LayersAsVllmSplitsThem) {
  EXPECT_EQ(pipeline_layers(32, 4), (Parts{8, 8, 8, 8}));
  EXPECT_EQ(pipeline_layers(22, 4), (Parts{5, 6, 6, 5}));
  EXPECT_EQ(pipeline_layers(61, 2), (Parts{31, 30}));
  EXPECT_EQ(pipeline_layers(61, 4), (Parts{15, 15, 16, 15}));
  EXPECT_EQ(pipeline_layers(7, 3), (Parts{2, 3, 2}));
}

TEST(Pipeline, StagesHoldTheWholeModelOnce) {
  for (const char* name : {"llama-2-7b", "mixtral-8x7b", "deepseek-v2-lite", "gemma-2-9b", "llama-3.2-1b"}) {
    SCOPED_TRACE(name);
    const ModelShape model = read_model(std::string(HEADROOM_SOURCE_DIR "/configs/models/") + name + ".yaml");
    const Bytes whole = weight_bytes(model, {});
    for (const std::int64_t stages : {2, 3, 5}) {
      Bytes sum;
      std::int64_t windows = 0;
      for (std::int64_t i = 0; i < stages; ++i) {
        const ModelShape part = pipeline_stage(model, stages, i);
        sum += weight_bytes(part, stage_weights({}, stages, i));
        if (part.sliding_window) windows += part.sliding_window->num_layers;
      }
      const std::int64_t again = model.tie_word_embeddings ? 2 * model.vocab_size * model.hidden_size : 0;
      EXPECT_EQ(sum.count(), whole.count() + again);  // a tied head needs a copy of the embedding
      if (model.sliding_window) {
        EXPECT_EQ(windows, model.sliding_window->num_layers);
      }
    }
  }
}

// llama-2-7b in two stages: 16 layers of 404,766,720 bytes, and embedding or LM head of 262,144,000 (the head with the
// final norm of 8,192): the last stage is the fullest.
TEST(Pipeline, TheStageWithTheFewestBlocksDecides) {
  const ModelShape model = read_model(HEADROOM_SOURCE_DIR "/configs/models/llama-2-7b.yaml");
  const HardwareProfile card = read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/a10g.yaml");
  MemoryPlanInput in;
  in.pipeline_parallel = 2;
  const MemoryPlan plan = plan_memory(model, card, in);
  EXPECT_EQ(plan.stage, 1);
  EXPECT_EQ(plan.weights.count(), 16 * std::int64_t{404'766'720} + 262'144'000 + 8'192);
  EXPECT_EQ(plan.kv_per_token.count(), 2 * 16 * 4096 * 2);
  EXPECT_EQ(plan.weights + plan.activation_peak + plan.context + plan.other + plan.kv_pool + plan.unused, plan.gpu);
}

}  // namespace
}  // namespace headroom
