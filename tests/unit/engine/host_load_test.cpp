// Prefixes fetched from host memory: times, bytes and tokens of small runs, worked out by hand.
//
// The card copies at 25 GB/s and 1 us a piece; a block of 16 tokens has 16 KiB in 2 layers, so 4 pieces unless all
// layers are one stretch:  4 us + 16384 B / 25 GB/s = 4.65536 us, or 1.65536 us.
#include <gtest/gtest.h>

#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"

namespace headroom {
namespace {

Scenario scenario(std::vector<std::string> settings) {
  LoadOptions options;
  options.overrides = {"hardware=" HEADROOM_SOURCE_DIR "/tests/support/slow.yaml", "engine.num_gpu_blocks_override=6",
                       "engine.kv_offloading_size=1 MiB"};
  options.overrides.insert(options.overrides.end(), settings.begin(), settings.end());
  return load_scenario(HEADROOM_SOURCE_DIR "/tests/support/base.yaml", options).variants.front().second;
}

// Five usable blocks. `first` is a prompt of four whose content is known, `others` of five that push it out.
class Requests {
 public:
  Requests& known(double arrival, std::uint64_t content, std::int64_t tokens = 64) {
    add(arrival, tokens);
    Request& r = workload.requests.back();
    r.first_segment = static_cast<std::uint32_t>(workload.segments.size());
    r.num_segments = 1;
    workload.segments.push_back({content, tokens});
    return *this;
  }
  Requests& other(double arrival) {
    add(arrival, 80);
    return *this;
  }
  Workload workload;

 private:
  void add(double arrival, std::int64_t tokens) {
    Request r;
    r.id = RequestId{static_cast<std::uint32_t>(workload.requests.size())};
    r.arrival = Seconds{arrival};
    r.prompt_tokens = tokens;
    r.output_tokens = 1;
    workload.requests.push_back(r);
  }
};

constexpr double kBlock = 4e-6 + 16384 / 25e9;

TEST(HostLoad, TakesTheTimeOfItsBlocksAndSavesTheirTokens) {
  Requests r;
  r.known(0, 1).other(1).known(2, 1);
  const RunResult run = simulate(scenario({}), r.workload);
  const RequestRecord& third = run.requests[2];
  EXPECT_NEAR(third.scheduled, 2 + 4 * kBlock, 1e-12);
  EXPECT_EQ(third.cached_tokens, 63);  // the last token is computed again, for its output
  const HostTierResult& h = run.replicas[0].host_tier;
  EXPECT_EQ(h.loads, 1);
  EXPECT_EQ(h.hit_tokens, 63);
  EXPECT_EQ(h.loaded, Bytes{4 * 16384});
  EXPECT_EQ(h.stored, Bytes{9 * 16384});  // four of the first, five of the second, none again
  EXPECT_EQ(h.resident, h.stored);
  EXPECT_NEAR(h.load_wait, 4 * kBlock, 1e-12);
  EXPECT_NEAR(h.storing, 9 * kBlock, 1e-12);
  EXPECT_NEAR(h.store_lag, 5 * kBlock, 1e-12);
  EXPECT_GT(h.recompute, h.load_wait);
}

TEST(HostLoad, OneStretchABlockIsOneCopy) {
  Requests r;
  r.known(0, 1).other(1).known(2, 1);
  const RunResult run = simulate(scenario({"engine.enable_cross_layers_blocks=true"}), r.workload);
  EXPECT_NEAR(run.requests[2].scheduled, 2 + 4 * (1e-6 + 16384 / 25e9), 1e-12);
}

TEST(HostLoad, CopiesComeOneAfterTheOther) {
  Requests r;
  r.known(0, 1, 32).known(0, 2, 32).other(1).known(2, 1, 32).known(2, 2, 32);
  const RunResult run = simulate(scenario({}), r.workload);
  // The first is computed while the second is still being copied.
  EXPECT_NEAR(run.requests[3].scheduled, 2 + 2 * kBlock, 1e-12);
  EXPECT_GE(run.requests[4].scheduled, 2 + 4 * kBlock - 1e-12);
  EXPECT_NEAR(run.replicas[0].host_tier.load_wait, 6 * kBlock, 1e-12);
}

TEST(HostLoad, WhatTheGpuHasIsNotFetched) {
  Requests r;
  r.known(0, 1).known(1, 1);
  const RunResult run = simulate(scenario({}), r.workload);
  // Three of its four blocks are found on the GPU; the last one would be computed again, but the host has it.
  EXPECT_EQ(run.replicas[0].host_tier.loaded, Bytes{16384});
  EXPECT_EQ(run.requests[1].cached_tokens, 63);
}

TEST(HostLoad, NothingIsFetchedWithoutATier) {
  Requests r;
  r.known(0, 1).other(1).known(2, 1);
  const RunResult run = simulate(scenario({"engine.kv_offloading_size=0 MiB"}), r.workload);
  EXPECT_EQ(run.requests[2].cached_tokens, 0);
  EXPECT_EQ(run.replicas[0].host_tier.stored, Bytes{0});
}

}  // namespace
}  // namespace headroom
