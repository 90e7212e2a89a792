// What stands around the engine: an API server between it and its clients, a sampler behind it, a call before it.
#include <gtest/gtest.h>

#include "sim/config/scenario_derive.h"
#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"

namespace headroom {
namespace {

Scenario scenario(std::vector<std::string> settings) {
  LoadOptions options;
  options.overrides = std::move(settings);
  return load_scenario(HEADROOM_SOURCE_DIR "/tests/support/base.yaml", options).variants.front().second;
}
RunResult run(const Scenario& s) {
  return simulate(s, workload_of(s));
}

const std::string kServer = "engine.api_server={request: 3 ms, answer: 5 ms}";

TEST(ApiServer, DelaysAnOpenLoopByItsTwoWays) {
  for (const char* replicas : {"cluster.replicas=1", "cluster={replicas: 2, router: least-outstanding}"}) {
    SCOPED_TRACE(replicas);
    const RunResult plain = run(scenario({replicas, kServer}));
    const RunResult served = run(scenario({replicas, kServer, "workload.client=http"}));
    ASSERT_EQ(plain.requests.size(), served.requests.size());
    for (std::size_t i = 0; i < plain.requests.size(); ++i) {
      const RequestRecord &a = plain.requests[i], &b = served.requests[i];
      EXPECT_DOUBLE_EQ(a.arrival, b.arrival);
      EXPECT_NEAR(b.scheduled, a.scheduled + 3e-3, 1e-9);
      EXPECT_NEAR(b.first_token, a.first_token + 8e-3, 1e-9);
      EXPECT_NEAR(b.finish, a.finish + 8e-3, 1e-9);
    }
    EXPECT_NEAR(served.duration, plain.duration + 8e-3, 1e-9);
  }
}

TEST(ApiServer, AClosedLoopWaitsForItBetweenRequests) {
  const std::vector<std::string> one_user = {"workload.arrivals={process: closed-loop, users: 1}",
                                             "workload.requests=5", kServer};
  std::vector<std::string> over_http = one_user;
  over_http.push_back("workload.client=http");
  const RunResult plain = run(scenario(one_user)), served = run(scenario(over_http));
  for (std::size_t i = 1; i < served.requests.size(); ++i)
    EXPECT_DOUBLE_EQ(served.requests[i].arrival, served.requests[i - 1].finish);
  EXPECT_NEAR(served.duration, plain.duration + 5 * 8e-3, 1e-9);
}

TEST(TopP, CostsWhatWasMeasuredOnAnH100) {
  // validate/data/h100_sampling.csv: top-p less greedy, 22 rows of 32,000 logits and 64 of 128,256.
  struct Point {
    const char* model;
    std::int64_t rows;
    double measured;
  };
  for (const Point& p : {Point{"llama-2-7b", 22, 233.3e-6}, Point{"llama-3.1-8b", 64, 1302.7e-6}}) {
    SCOPED_TRACE(p.model);
    StepShape shape;
    shape.decode_sequences = shape.logit_rows = p.rows;
    shape.decode_context = shape.decode_windowed_context = 100 * p.rows;
    const auto step = [&](const char* sampling, const char* ranks) {
      const Scenario s = scenario(
          {std::string("model=") + p.model, "hardware=h100-sxm", ranks, std::string("workload.sampling=") + sampling});
      return StepTimeModel(s.model, s.hardware, step_time_options(s)).step_time(shape).elementwise.count();
    };
    const double one =
        step("top-p", "cluster.tensor_parallel_size=1") - step("greedy", "cluster.tensor_parallel_size=1");
    EXPECT_NEAR(one, p.measured, 0.15 * p.measured);
    // Each rank samples from all logits.
    EXPECT_NEAR(step("top-p", "cluster.tensor_parallel_size=4") - step("greedy", "cluster.tensor_parallel_size=4"), one,
                1e-12);
  }
}

TEST(Generate, ACallStartsBeforeItsFirstKernel) {
  const auto step = [](const char* call, bool prompts) {
    const Scenario s = scenario({"engine={preset: hf-generate}", std::string("engine.host.per_call=") + call});
    const PrefillChunk chunk{100, 0, 4};
    StepShape shape;
    if (prompts)
      shape.prefills = std::span(&chunk, 1);
    else
      shape.decode_sequences = 4, shape.decode_context = shape.decode_windowed_context = 400;
    shape.logit_rows = 4;
    return StepTimeModel(s.model, s.hardware, step_time_options(s)).step_time(shape).total.count();
  };
  EXPECT_NEAR(step("3 ms", true), step("0 ms", true) + 3e-3, 1e-12);
  EXPECT_EQ(step("3 ms", false), step("0 ms", false));
}

}  // namespace
}  // namespace headroom
