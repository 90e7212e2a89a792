#include "sim/engine/intervals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/kernel_time.h"
#include "sim/config/scenario_derive.h"
#include "sim/config/scenario_reader.h"
#include "sim/engine/measures.h"
#include "sim/engine/simulation.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

constexpr KernelUncertainty kSome{.gemm = 0.1, .attention = 0.2, .elementwise = 0.3, .transfer = 0.4};

Scenario scenario() {
  return load_scenario(HEADROOM_SOURCE_DIR "/configs/scenarios/one-gpu-poisson.yaml").variants.front().second;
}

TEST(Intervals, FactorsSpreadEvenlyOverTheirLaw) {
  std::vector<double> z;
  for (const CostScale& s : draw_scales(kSome, 0.5, 0.1, 7)) z.push_back(std::log(s.kernels.attention) / 0.2);
  std::sort(z.begin(), z.end());
  ASSERT_EQ(z.size(), static_cast<std::size_t>(kDraws));
  for (int i = 0; i < kDraws; ++i)
    EXPECT_NEAR(z[static_cast<std::size_t>(i)], normal_quantile((i + 0.5) / kDraws), 1e-12) << i;
}

TEST(Intervals, SameSeedSameDraws) {
  const auto a = draw_scales(kSome, 0.5, 0.1, 7), b = draw_scales(kSome, 0.5, 0.1, 7),
             c = draw_scales(kSome, 0.5, 0.1, 8);
  bool other = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].host, b[i].host);
    other = other || a[i].host != c[i].host;
  }
  EXPECT_TRUE(other);
}

TEST(Intervals, QuantilesOfTheDraws) {
  std::vector<double> draws;
  for (int i = 20; i >= 1; --i) draws.push_back(i);
  const Interval interval = interval_of(draws, 0.9);  // 5 % lies between the first and the second of twenty
  EXPECT_NEAR(interval.low, 1.5, 1e-12);
  EXPECT_NEAR(interval.high, 19.5, 1e-12);
  EXPECT_TRUE(std::isnan(interval_of({std::nan("")}).low));
  EXPECT_EQ(interval_of({std::nan(""), 3}).high, 3);
}

// A truth made by the same law: the interval must hold it nine times out of ten, whichever source dominates.
TEST(Intervals, HoldTheTruthAsOftenAsTheySay) {
  for (const double gemm_share : {0.9, 0.5, 0.1}) {
    SCOPED_TRACE(gemm_share);
    const auto time = [&](const CostScale& s) {
      return gemm_share * s.kernels.gemm + (1 - gemm_share) * s.kernels.attention;
    };
    int inside = 0;
    constexpr int kTrials = 2000;
    for (int seed = 0; seed < kTrials; ++seed) {
      std::vector<double> draws;
      for (const CostScale& s : draw_scales(kSome, 0.5, 0.1, static_cast<std::uint64_t>(seed)))
        draws.push_back(time(s));
      const Interval interval = interval_of(draws);
      Random random(static_cast<std::uint64_t>(seed), "truth");
      CostScale truth;
      truth.kernels.gemm = std::exp(kSome.gemm * random.normal());
      truth.kernels.attention = std::exp(kSome.attention * random.normal());
      inside += interval.low <= time(truth) && time(truth) <= interval.high;
    }
    const double deviation = std::sqrt(0.9 * 0.1 / kTrials);
    EXPECT_NEAR(inside / static_cast<double>(kTrials), 0.9, 4 * deviation);
  }
}

TEST(Intervals, AFactorSlowsItsKernelsAndNothingElse) {
  const Scenario s = scenario();
  const StepTimeOptions options = step_time_options(s);
  StepShape shape;
  shape.decode_sequences = shape.logit_rows = 32;
  shape.decode_context = shape.decode_windowed_context = 32 * 1000;
  const auto time = [&](const KernelScale& scale) {
    return StepTimeModel(s.model, scaled(s.hardware, scale), options).step_time(shape);
  };
  const StepTime plain = time({}), gemm = time({.gemm = 2}), attention = time({.attention = 2});
  EXPECT_GT(gemm.gemm.count(), 1.8 * plain.gemm.count());
  EXPECT_LE(gemm.gemm.count(), 2.001 * plain.gemm.count());
  EXPECT_DOUBLE_EQ(gemm.attention.count(), plain.attention.count());
  EXPECT_GT(attention.attention.count(), 1.8 * plain.attention.count());
  EXPECT_DOUBLE_EQ(attention.gemm.count(), plain.gemm.count());
}

TEST(Intervals, MoreMemoryBesideTheCacheLeavesFewerBlocks) {
  const auto tokens = [](const Scenario& s) { return s.memory.kv_pool_tokens.count(); };
  for (const char* preset : {"vllm-v1-2025", "vllm-v0", "hf-generate", "hf-continuous"}) {
    SCOPED_TRACE(preset);
    LoadOptions options;
    options.overrides = {std::string("engine={preset: ") + preset + "}"};
    const Scenario s =
        load_scenario(HEADROOM_SOURCE_DIR "/configs/scenarios/one-gpu-poisson.yaml", options).variants.front().second;
    CostScale none, more, less;
    more.memory = 1.5;
    less.memory = 0.7;
    EXPECT_EQ(tokens(perturbed(s, none)), tokens(s));
    EXPECT_LT(tokens(perturbed(s, more)), tokens(s));
    EXPECT_GT(tokens(perturbed(s, less)), tokens(s));
  }
}

TEST(Intervals, TheModelsOwnDiscrepancyWidensThemAsFarAsNatureAllows) {
  LoadOptions options;
  options.overrides = {"hardware=a10g", "workload.requests=60", "workload.arrivals.rate=0.5/s"};
  const Scenario s =
      load_scenario(HEADROOM_SOURCE_DIR "/configs/scenarios/one-gpu-poisson.yaml", options).variants.front().second;
  const double first = model_discrepancy(Predicted::kFirstToken, Ground::kFitted),
               later = model_discrepancy(Predicted::kTime, Ground::kFitted);
  ASSERT_GT(first, 0);
  const Intervals all = simulate_intervals(s);
  const Interval &ttft = all.at("ttft_s.p50"), &tpot = all.at("tpot_s.p50"), &duration = all.at("duration_s"),
                 &rate = all.at("requests_per_s");
  EXPECT_NEAR(std::log(ttft.drawn_low / ttft.low), first, 1e-12);
  EXPECT_NEAR(std::log(ttft.high / ttft.drawn_high), first, 1e-12);
  EXPECT_NEAR(std::log(tpot.high / tpot.drawn_high), later, 1e-12);
  const double last = workload_of(s).requests.back().arrival.count();
  EXPECT_GE(duration.low, std::min(last, duration.drawn_low) - 1e-9);
  EXPECT_LT(std::log(rate.high / rate.drawn_high), later);  // requests do not come faster
  EXPECT_NEAR(std::log(rate.drawn_low / rate.low), later, 1e-12);
}

TEST(Intervals, OwnKernelsAreGroundForWhatExecuteRuns) {
  const auto ground = [](std::vector<std::string> settings) {
    LoadOptions options;
    options.overrides = std::move(settings);
    options.overrides.insert(options.overrides.begin(),
                             {"model=llama-3.2-1b", "hardware=h100-sxm-executor", "engine={preset: vllm-v1-2025}"});
    return ground_of(
        load_scenario(HEADROOM_SOURCE_DIR "/configs/scenarios/one-gpu-poisson.yaml", options).variants.front().second);
  };
  EXPECT_EQ(ground({}), Ground::kKernelTables);
  EXPECT_EQ(ground({"engine.enable_prefix_caching=false", "engine.cudagraph_mode=full-decode-only"}),
            Ground::kOwnKernels);
}

TEST(Intervals, MemoryNeverFallsBelowTheWeights) {
  LoadOptions options;  // activations are planned for 32 rows of 2,000 tokens, and most calls have one of fewer
  options.overrides = {"model=pythia-160m",
                       "engine={preset: hf-generate, max_num_seqs: 32, attention: eager, memory_uncertainty: 0.3}",
                       "workload.requests=3",
                       "workload.prompt_tokens={distribution: uniform, min: 8, max: 2000}",
                       "workload.output_tokens=2",
                       "workload.arrivals.rate=0.01/s"};
  const Scenario s =
      load_scenario(HEADROOM_SOURCE_DIR "/configs/scenarios/one-gpu-poisson.yaml", options).variants.front().second;
  const Interval peak = simulate_intervals(s).at("peak_allocated_bytes");
  EXPECT_LT(peak.low, peak.high);
  EXPECT_GE(peak.low, static_cast<double>(s.memory.weights.count()));
}

TEST(Measures, HaveOneNameEach) {
  for (const Measure& m : measures()) EXPECT_EQ(measure_named(m.name), &m) << m.name;
  EXPECT_EQ(measure_named("ttft_s"), nullptr);
  EXPECT_TRUE(belongs_to("ttft_s.p50", "ttft_s"));
  EXPECT_FALSE(belongs_to("ttft_s.p50", "ttft"));
  EXPECT_FALSE(belongs_to("ttft_s", "ttft_s.p50"));
}

}  // namespace
}  // namespace headroom
