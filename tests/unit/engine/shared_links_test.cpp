// Replicas that slow each other on links, worked out by hand: an uplink of 3 GB/s for two GPUs.
//
// A block of 16 KiB goes in 4 pieces of 1 us each: alone it takes 4 us + 16384 B / 3 GB/s, which is 1.73 GB/s; two
// copies at once get 1.5 GB/s each.
#include "sim/engine/shared_links.h"

#include <gtest/gtest.h>

#include <numeric>

#include "sim/config/scenario_derive.h"
#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"
#include "tests/unit/engine/asked.h"

namespace headroom {
namespace {

constexpr double kAlone = 4e-6 + 16384 / 3e9, kShared = 16384 / 1.5e9;  // of a block, seconds

Scenario scenario(const std::string& machine, std::vector<std::string> settings) {
  LoadOptions options;
  options.overrides = {"hardware=" HEADROOM_SOURCE_DIR "/tests/support/slow.yaml",
                       "cluster={replicas: 2, node: " HEADROOM_SOURCE_DIR "/tests/support/" + machine + "}"};
  options.overrides.insert(options.overrides.end(), settings.begin(), settings.end());
  return load_scenario(HEADROOM_SOURCE_DIR "/tests/support/base.yaml", options).variants.front().second;
}

RunResult run(const Scenario& s, const std::vector<Asked>& asked, bool on_clock = false) {
  SimulationOptions options;
  options.always_on_clock = on_clock;
  return simulate(s, workload(asked), options);
}

double carried(const RunResult& r, const std::string& link) {
  for (const LinkUse& l : r.links)
    if (l.name == link) return l.bytes;
  ADD_FAILURE() << link << " is not among the links";
  return 0;
}

// --- KV from the host: each replica (in turn) computes a prompt of four blocks, forgets it, is asked for it again ---

Scenario offloading() {
  return scenario("paired-machine.yaml", {"engine.num_gpu_blocks_override=6", "engine.kv_offloading_size=1 MiB"});
}

TEST(SharedLinks, LoadsOfTwoReplicasShareTheirUplink) {
  const RunResult r =
      run(offloading(), {{0, 64, 1, 1}, {0, 64, 1, 2}, {1, 80, 1}, {1, 80, 1}, {2, 64, 1, 1}, {2, 64, 1, 2}});
  for (std::size_t i : {4U, 5U}) {
    EXPECT_EQ(r.requests[i].cached_tokens, 63);
    EXPECT_NEAR(r.requests[i].scheduled, 2 + 4 * kShared, 1e-9);
  }
  for (const ReplicaResult& replica : r.replicas) {
    EXPECT_NEAR(replica.host_tier.load_wait, 4 * kShared, 1e-9);
    EXPECT_NEAR(replica.host_tier.storing, 9 * kShared, 1e-9);
  }
  EXPECT_NEAR(carried(r, "machine0.uplink0.down"), 2 * 4 * 16384, 1);
  EXPECT_NEAR(carried(r, "machine0.uplink0.up"), 2 * 9 * 16384, 1);
  EXPECT_NEAR(carried(r, "machine0.gpu1.pcie.down"), 4 * 16384, 1);
}

TEST(SharedLinks, OnlyWhileBothCopy) {
  const double later = 2 + 2 * kAlone;  // when two of the first's four blocks are there
  const RunResult r =
      run(offloading(), {{0, 64, 1, 1}, {0, 64, 1, 2}, {1, 80, 1}, {1, 80, 1}, {2, 64, 1, 1}, {later, 64, 1, 2}});
  EXPECT_NEAR(r.requests[4].scheduled, later + 2 * kShared, 1e-9);
  EXPECT_NEAR(r.requests[5].scheduled, later + 2 * kShared + 2 * kAlone, 1e-9);
}

TEST(SharedLinks, AloneTheyTakeTheirClosedForm) {
  Scenario one = offloading();
  one.cluster.replicas = 1;
  const RunResult with = run(offloading(), {{0, 64, 1, 1}, {0, 64, 1}, {1, 80, 1}, {1, 64, 1}, {2, 64, 1, 1}});
  const RunResult without = run(one, {{0, 64, 1, 1}, {1, 80, 1}, {2, 64, 1, 1}});
  EXPECT_TRUE(without.links.empty());
  EXPECT_NEAR(with.requests[4].scheduled, 2 + 4 * kAlone, 1e-9);
  EXPECT_NEAR(with.requests[4].finish, without.requests[2].finish, 1e-9);
}

TEST(SharedLinks, TheClockOfOthersGivesTheSame) {
  const std::vector<Asked> asked{{0, 64, 9, 1}, {0, 64, 5, 2}, {1, 80, 7},
                                 {1, 80, 3},    {2, 64, 4, 1}, {2.00001, 64, 9, 2}};
  const RunResult plain = run(offloading(), asked), clocked = run(offloading(), asked, true);
  for (std::size_t i = 0; i < asked.size(); ++i) EXPECT_EQ(plain.requests[i].finish, clocked.requests[i].finish);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_EQ(plain.replicas[i].host_tier.storing, clocked.replicas[i].host_tier.storing);
}

// --- swapped blocks: two replicas in step, each with the requests of one ---

TEST(SharedLinks, ReplicasThatSwapAtOnceSlowEachOther) {
  const std::vector<std::string> settings{
      "engine={preset: vllm-v0, preemption_mode: swap, num_gpu_blocks_override: 12}"};
  const Scenario two = scenario("paired-machine.yaml", settings);
  Scenario one = two;
  one.cluster.replicas = 1;
  const RunResult r = run(two, {{0, 60, 60}, {0, 60, 60}, {0, 60, 60}, {0, 60, 60}});
  const RunResult alone = run(one, {{0, 60, 60}, {0, 60, 60}});
  EXPECT_GT(alone.replicas[0].preemptions, 0);
  EXPECT_EQ(r.replicas[0].preemptions, alone.replicas[0].preemptions);
  const double blocks = (carried(r, "machine0.uplink0.up") + carried(r, "machine0.uplink0.down")) / 2 / 16384;
  EXPECT_GT(blocks, 1);
  EXPECT_EQ(carried(r, "machine0.uplink0.up"), carried(r, "machine0.uplink0.down"));
  EXPECT_NEAR(r.duration - alone.duration, blocks * (kShared - kAlone), 1e-9);
}

// --- weights streamed by replicas that each have all of them ---

class Streams : public testing::TestWithParam<std::pair<const char*, int>> {
 protected:
  static std::vector<std::string> settings() {
    const auto& [from, ahead] = GetParam();
    return {std::string("techniques={zero_stage: 3, zero_shard_size: 1, zero_offload: ") + from +
            ", zero_prefetch_layers: " + std::to_string(ahead) + "}"};
  }
};

TEST_P(Streams, OfTwoReplicasTakeTwiceAsLong) {
  const Scenario two = scenario("paired-machine.yaml", settings());
  Scenario one = two;
  one.cluster.replicas = 1;
  const RunResult both = run(two, {{0, 20, 5}, {0, 20, 5}}), single = run(two, {{0, 20, 5}}),
                  alone = run(one, {{0, 20, 5}});
  EXPECT_TRUE(alone.links.empty());
  EXPECT_NEAR(single.duration, alone.duration, 1e-9 * alone.duration);
  // The closed form at half the rate of every link.
  ZeroWeights slow = *step_time_options(one).zero;
  for (Seconds* fetch : {&slow.first, &slow.layer, &slow.head}) *fetch = 2.0 * *fetch;
  StepTimeOptions options = step_time_options(one);
  options.zero = slow;
  const StepTimeModel halved(one.model, one.hardware, options);
  const StepTimeModel idle(one.model, one.hardware, step_time_options(one));
  double expected = alone.duration;
  for (int step = 0; step < 5; ++step) {
    PrefillChunk chunk{20, 0, 1};
    StepShape shape;
    if (step == 0) {
      shape.prefills = std::span(&chunk, 1);
      shape.prompt_chunks = 1;
    } else {
      shape.decode_sequences = 1;
      shape.decode_context = shape.decode_windowed_context = 20 + step;
    }
    shape.logit_rows = 1;
    expected += (halved.step_time(shape).total - idle.step_time(shape).total).count();
  }
  EXPECT_GT(expected, alone.duration * 1.2);
  EXPECT_NEAR(both.duration, expected, 1e-9 * expected);
  const double bytes = 5 * (slow.first_bytes + 2 * slow.layer_bytes + slow.head_bytes);
  EXPECT_NEAR(carried(both, "machine0.uplink0.down"), 2 * bytes, 10);
  EXPECT_NEAR(carried(single, "machine0.gpu0.pcie.down"), bytes, 10);
}

INSTANTIATE_TEST_SUITE_P(SharedLinks, Streams,
                         testing::Values(std::pair{"cpu", 0}, std::pair{"cpu", 1}, std::pair{"nvme", 0},
                                         std::pair{"nvme", 1}));

// --- all-reduces of four of eight GPUs over PCIe, three to an uplink: the rings 0-1-2-3 and 4-5-6-7 both go up the
// second uplink (3 to 0, 5 to 6) and both down it ---

TEST(SharedLinks, RingsOnOneUplinkTakeTwiceAsLong) {
  const Scenario two = scenario("uneven-machine.yaml", {"cluster.tensor_parallel_size=4"});
  Scenario one = two;
  one.cluster.replicas = 1;
  const RunResult both = run(two, {{0, 100, 1}, {0, 100, 1}}), single = run(two, {{0, 100, 1}}),
                  alone = run(one, {{0, 100, 1}});
  EXPECT_TRUE(alone.links.empty());
  EXPECT_NEAR(single.duration, alone.duration, 1e-9 * alone.duration);
  const double once = 2.0 * 3 / 4 * 104 * 512 / 1e9;  // 100 tokens, padded to 104, of 256 elements of 2 bytes
  EXPECT_NEAR(both.duration - alone.duration, 4 * once, 1e-9);
  // Each rank sends 2 (n - 1) / n of its bytes in each of four all-reduces; two messages go up the second uplink.
  EXPECT_NEAR(carried(both, "machine0.gpu0.pcie.up"), 4 * 1.5 * 104 * 512, 1);
  EXPECT_NEAR(carried(both, "machine0.uplink1.up"), 2 * 4 * 1.5 * 104 * 512, 1);
}

TEST(SharedLinks, WhoMeetsNobodyTakesTheFastPath) {
  const std::vector<Asked> asked{{0, 20, 5}, {0, 20, 5}};
  const Scenario rings = scenario("uneven-machine.yaml", {"cluster.tensor_parallel_size=2"});
  EXPECT_TRUE(run(rings, asked).links.empty());  // 0-1, 2-3: one below its uplink, the other across two of its own
  const Scenario apart = scenario("two-machines.yaml", {"engine.kv_offloading_size=1 MiB"});
  EXPECT_TRUE(run(apart, asked).links.empty());
}

// Units by hand, nobody else on the links: 1 s for each transfer. Without prefetch a, f, c in turn; with one ahead the
// third transfer waits for room until the first has computed.
TEST(StepFlows, FetchesAheadAsFarAsThereIsRoom) {
  const std::vector<Route> route(1);
  const auto end = [&](std::size_t ahead, double compute) {
    StepFlows flows;
    flows.begin(10, std::vector<FlowUnit>(3, FlowUnit{&route, 1, 0, compute}), ahead);
    while (flows.moving()) flows.arrived(flows.due() + 1);
    return flows.end() - 10;
  };
  EXPECT_DOUBLE_EQ(end(0, 2), 3 + 6);
  EXPECT_DOUBLE_EQ(end(1, 2), 1 + 6);  // compute never waits after the first
  EXPECT_DOUBLE_EQ(end(1, 0.5), 3.5);  // the link never rests
}

}  // namespace
}  // namespace headroom
