// Batches in flight, by hand: stages that take what their own cost model says, ways of one second and more.
#include "sim/engine/pipeline.h"

#include <gtest/gtest.h>

#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"

namespace headroom {
namespace {

Scenario two_stages(std::vector<std::string> more = {}) {
  LoadOptions options;
  options.overrides = {"hardware=" HEADROOM_SOURCE_DIR "/tests/support/slow.yaml",
                       "cluster={pipeline_parallel_size: 2}"};
  options.overrides.insert(options.overrides.end(), more.begin(), more.end());
  return load_scenario(HEADROOM_SOURCE_DIR "/tests/support/base.yaml", options).variants.front().second;
}

StepShape one_sequence() {
  StepShape shape;
  shape.decode_sequences = shape.logit_rows = 1;
  shape.decode_context = shape.decode_windowed_context = 100;
  return shape;
}

// Stages of a and b seconds, w between them; batches enter at 0 and 0. The first is through after a + w + b. The second
// waits a for the first stage, and for the second one until the first batch has left it.
TEST(Pipeline, TheSecondBatchWaitsForStages) {
  const std::vector<StepTimeModel> stages = stages_of(two_stages());
  const StepShape shape = one_sequence();
  const double a = stages[0].step_time(shape).total.count(), b = stages[1].step_time(shape).total.count();
  const auto bytes = static_cast<double>(stages[0].ops().hidden_bytes_per_token);
  const std::vector<CollectiveLink> ways{{BytesPerSecond{bytes}, Seconds{0.5}}};  // 1 s for its bytes
  const double w = 1.5;
  Pipeline pipeline(stages, ways);
  EXPECT_NEAR(pipeline.pass(0, shape).total.count(), a + w + b, 1e-12);
  const double second = std::max(a + a + w, a + w + b) + b;
  EXPECT_NEAR(pipeline.pass(0, shape).total.count(), second, 1e-12);
  EXPECT_NEAR(pipeline.occupied(), 2 * (a + b), 1e-12);
  EXPECT_NEAR(pipeline.active(), second, 1e-12);
  EXPECT_NEAR(pipeline.pass(10, shape).total.count(), a + w + b, 1e-12);
  EXPECT_NEAR(pipeline.active(), second + a + w + b, 1e-12);
  EXPECT_NEAR(pipeline.sending(), 3 * w, 1e-12);
  EXPECT_EQ(pipeline.sent(), 3 * bytes);
}

// One request alone sees every stage and every way at each token: no faster than one GPU. Half of the time a stage has
// nothing to do.
TEST(Pipeline, OneRequestGainsNothing) {
  const std::vector<std::string> one{"workload.requests=1"};
  const Scenario split = two_stages(one);
  std::vector<std::string> flat = one;
  flat.push_back("cluster={pipeline_parallel_size: 1}");
  const Scenario whole = two_stages(flat);
  const RunResult with = simulate(split, workload_of(split)), without = simulate(whole, workload_of(whole));
  EXPECT_GE(with.duration, without.duration);
  EXPECT_GT(1 - with.pipeline_occupied / with.pipeline_active, 0.4);
  EXPECT_EQ(without.pipeline_active, 0);
}

TEST(Pipeline, EveryRequestEndsOnceWithItsTokensWhateverTheCalendar) {
  for (const char* replicas : {"1", "3"})
    for (const char* preset : {"vllm-v0", "vllm-v1-2025", "vllm-v1-2026", "sarathi", "orca"}) {
      SCOPED_TRACE(preset);
      const Scenario s = two_stages(
          {std::string("engine.preset=") + preset, "engine.max_num_seqs=6",
           std::string("cluster={pipeline_parallel_size: 2, router: least-outstanding, replicas: ") + replicas + "}"});
      const Workload workload = workload_of(s);
      const RunResult fast = simulate(s, workload);
      SimulationOptions plain;
      plain.step_by_step = true;
      const RunResult slow = simulate(s, workload, plain);
      ASSERT_EQ(fast.requests.size(), workload.requests.size());
      for (std::size_t i = 0; i < fast.requests.size(); ++i) {
        EXPECT_EQ(fast.requests[i].status, RequestStatus::kFinished);
        EXPECT_EQ(fast.requests[i].output_tokens, workload.requests[i].output_tokens);
        EXPECT_EQ(fast.requests[i].finish, slow.requests[i].finish);
        EXPECT_LT(fast.requests[i].replica, static_cast<std::uint32_t>(s.cluster.replicas));
      }
      EXPECT_LE(fast.pipeline_occupied, fast.pipeline_active * (1 + 1e-9));
    }
}

}  // namespace
}  // namespace headroom
