// Batches in flight, by hand: stages that take what their own cost model says, ways of one second and more.
#include "sim/engine/pipeline.h"

#include <gtest/gtest.h>

#include "sim/config/scenario_derive.h"
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

// --- vLLM V1: one queue and one pool for all batches in flight ---

Workload two_requests(double second_at, std::int64_t first_prompt, std::int64_t second_prompt, std::int64_t output) {
  Workload w;
  for (const auto& [arrival, prompt] : {std::pair{0.0, first_prompt}, std::pair{second_at, second_prompt}}) {
    Request r;
    r.id = RequestId{static_cast<std::uint32_t>(w.requests.size())};
    r.arrival = Seconds{arrival};
    r.prompt_tokens = prompt;
    r.output_tokens = output;
    w.requests.push_back(r);
  }
  return w;
}

// What its batches take, one behind the other through the same stages.
class Passes {
 public:
  explicit Passes(const Scenario& s) : stages_(stages_of(s)), ways_(stage_links(s)), pipeline_(stages_, ways_) {}
  double prompt(double start, std::int64_t tokens, std::int64_t past, bool samples) {
    const PrefillChunk chunk{tokens, past, 1};
    StepShape shape;
    shape.prefills = std::span(&chunk, 1);
    shape.prompt_chunks = 1;
    shape.logit_rows = samples ? 1 : 0;
    return start + pipeline_.pass(start, shape).total.count();
  }
  double decode(double start, std::int64_t context) {
    StepShape shape;
    shape.decode_sequences = shape.logit_rows = 1;
    shape.decode_context = shape.decode_windowed_context = context;
    return start + pipeline_.pass(start, shape).total.count();
  }

 private:
  std::vector<StepTimeModel> stages_;
  std::vector<CollectiveLink> ways_;
  Pipeline pipeline_;
};

// 128 tokens in chunks of 64: the second enters the first stage as soon as the first has left it. The other request's
// prompt waits until one of both batches is back; then its owner decodes and the rest of the budget is the prompt's.
TEST(Pipeline, ChunksOfOnePromptFollowEachOther) {
  const Scenario s = two_stages({"engine={preset: vllm-v1-2025, max_num_seqs: 8, max_num_batched_tokens: 64}"});
  const RunResult r = simulate(s, two_requests(0, 128, 64, 1));
  Passes passes(s);
  const double first = passes.prompt(0, 64, 0, false), second = passes.prompt(0, 64, 64, true);
  EXPECT_NEAR(r.requests[0].first_token, second, 1e-12);
  EXPECT_LT(second, Passes(s).prompt(first, 64, 64, true));  // had it waited for the first to come back
  EXPECT_NEAR(r.requests[1].scheduled, first, 1e-12);
  EXPECT_NEAR(r.requests[1].first_token, passes.prompt(first, 64, 0, true), 1e-12);
}

// Whoever comes while a batch is in flight makes the next one at once; whoever is in flight is not in it.
TEST(Pipeline, ARequestIsInOneBatchAtATime) {
  const Scenario s = two_stages({"engine.preset=vllm-v1-2025"});
  Passes passes(s);
  const double a1 = passes.prompt(0, 64, 0, true);
  const double later = a1 / 4;
  const double b1 = passes.prompt(later, 32, 0, true);
  const double a2 = passes.decode(a1, 65), b2 = passes.decode(b1, 33);
  const double a3 = passes.decode(a2, 66), b3 = passes.decode(b2, 34);
  const RunResult r = simulate(s, two_requests(later, 64, 32, 3));
  EXPECT_NEAR(r.requests[1].scheduled, later, 1e-12);
  EXPECT_NEAR(r.requests[0].first_token, a1, 1e-12);
  EXPECT_NEAR(r.requests[1].first_token, b1, 1e-12);
  EXPECT_NEAR(r.requests[0].finish, a3, 1e-12);
  EXPECT_NEAR(r.requests[1].finish, b3, 1e-12);
}

// Ten blocks, one of them nobody's: a request may have all nine, and the next waits for them; V0 has five for each.
TEST(Pipeline, AllBatchesShareThePool) {
  const std::vector<std::string> pool{"engine.num_gpu_blocks_override=10"};
  const Scenario s = two_stages(pool);
  const RunResult r = simulate(s, two_requests(0, 130, 130, 3));
  EXPECT_EQ(r.requests[0].status, RequestStatus::kFinished);
  EXPECT_EQ(r.requests[1].status, RequestStatus::kFinished);
  EXPECT_NEAR(r.requests[1].scheduled, r.requests[0].finish, 1e-12);
  ASSERT_EQ(r.replicas.size(), 2U);
  const auto seconds = [](const SlotSeconds& slots) {
    return slots.tokens + slots.reserved + slots.internal + slots.cached + slots.empty;
  };
  EXPECT_NEAR(seconds(r.replicas[0].slots), 9 * 16 * r.duration, 1e-9);
  EXPECT_EQ(seconds(r.replicas[1].slots), 0);
  const Scenario shares = two_stages({"engine={preset: vllm-v0, num_gpu_blocks_override: 10}"});
  EXPECT_EQ(simulate(shares, two_requests(0, 130, 130, 3)).requests[0].status, RequestStatus::kRejected);
}

// A pool too small for everybody: whoever gives way comes back, and no token is lost or made twice.
TEST(Pipeline, PreemptedRequestsComeBack) {
  for (const char* blocks : {"10", "14", "20"}) {
    const Scenario s =
        two_stages({std::string("engine={preset: vllm-v1-2026, num_gpu_blocks_override: ") + blocks + "}",
                    "workload={requests: 40, arrivals: {process: poisson, rate: 200/s}, prompt_tokens: "
                    "60, output_tokens: 60}"});
    const Workload w = workload_of(s);
    const RunResult r = simulate(s, w);
    std::int64_t preemptions = 0, gaps = 0;
    for (const RequestRecord& request : r.requests) {
      EXPECT_EQ(request.status, RequestStatus::kFinished);
      preemptions += request.preemptions;
    }
    for (const GapRun& gap : r.gaps) {
      EXPECT_GT(gap.first, 0);
      EXPECT_LT(gap.first, r.duration);
      gaps += static_cast<std::int64_t>(gap.steps) * gap.sequences;
    }
    EXPECT_GT(preemptions, 0);
    EXPECT_EQ(gaps, 40 * 59);
  }
}

}  // namespace
}  // namespace headroom
