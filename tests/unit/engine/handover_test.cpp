// Disaggregated runs small enough to work out by hand: when KV moves, how long it takes, who waits for whom.
//
// A token has 1 KiB of KV in 2 layers, a block of 16 tokens 16 KiB; 64 tokens take 65.536 us over 1 GB/s.
#include "sim/engine/handover.h"

#include <gtest/gtest.h>

#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"
#include "sim/metrics/summary.h"
#include "tests/unit/engine/asked.h"

namespace headroom {
namespace {

constexpr double kPrompt = 65536 / 1e9;  // 64 tokens on the link, seconds

Scenario scenario(const std::vector<std::string>& settings = {}) {
  LoadOptions options;
  options.overrides = {"hardware=" HEADROOM_SOURCE_DIR "/tests/support/slow.yaml",
                       "engine={preset: disaggregated, async_scheduling: false}",
                       "cluster={prefill_replicas: 1, decode_replicas: 1, node: " HEADROOM_SOURCE_DIR
                       "/tests/support/two-machines.yaml}"};
  options.overrides.insert(options.overrides.end(), settings.begin(), settings.end());
  return load_scenario(HEADROOM_SOURCE_DIR "/tests/support/base.yaml", options).variants.front().second;
}

RunResult run(const Scenario& s, const std::vector<Asked>& asked) {
  return simulate(s, workload(asked));
}

double step_of(const RequestRecord& r) {
  return r.first_token - r.scheduled;
}

TEST(Handover, PullMovesThePromptAfterItsFirstToken) {
  const RunResult r = run(scenario(), {{0, 64, 3}});
  ASSERT_EQ(r.transfers.size(), 1U);
  const KvTransfer& t = r.transfers[0];
  const RequestRecord& request = r.requests[0];
  EXPECT_EQ(t.source, 0U);
  EXPECT_EQ(t.target, 1U);
  EXPECT_EQ(request.replica, 1U);
  EXPECT_EQ(t.bytes, Bytes{65536});
  EXPECT_EQ(t.asked, request.first_token);
  EXPECT_EQ(t.started, request.first_token);  // nobody else is there
  EXPECT_NEAR(t.arrived - t.started, kPrompt, 1e-12);
  // The transfer shows in the second token; the third comes a step later.
  const Distribution gaps = distribution_of(r.gaps);
  EXPECT_EQ(gaps.count, 2);
  const double steps = request.finish - t.arrived;
  EXPECT_NEAR(gaps.max, kPrompt + steps / 2, 1e-4 * steps);
  EXPECT_EQ(r.replicas[0].steps, 1);
  EXPECT_EQ(r.replicas[1].steps, 2);
}

TEST(Handover, WithinAMachineItIsThatMachinesLinks) {
  const RunResult near =
      run(scenario({"cluster.node=" HEADROOM_SOURCE_DIR "/tests/support/one-machine.yaml"}), {{0, 64, 2}});
  EXPECT_NEAR(near.transfers[0].arrived - near.transfers[0].started, 65536 / 25e9, 1e-12);
}

TEST(Handover, TwoOnOneLinkTakeTwiceAsLong) {
  const RunResult r = run(scenario(), {{0, 64, 2}, {0, 64, 2}});
  ASSERT_EQ(r.transfers.size(), 2U);
  for (const KvTransfer& t : r.transfers) {
    EXPECT_EQ(t.started, r.requests[0].first_token);
    EXPECT_NEAR(t.arrived - t.started, 2 * kPrompt, 1e-12);
  }
}

TEST(Handover, PushTakesTheBlocksBeforeThePromptIsComputed) {
  const RunResult r = run(scenario({"engine.kv_transfer=push"}), {{1, 64, 3}});
  const KvTransfer& t = r.transfers[0];
  EXPECT_EQ(t.asked, 1);
  EXPECT_EQ(t.granted, 1);
  EXPECT_EQ(t.started, r.requests[0].first_token);
  EXPECT_NEAR(t.arrived - t.started, kPrompt, 1e-12);
}

// visible = max(K/(L B), K/B - T (L-1)/L), SEMANTICS 4.2.
TEST(Handover, LayersAreSentWhileOthersCompute) {
  for (const auto& [tokens, card] : {std::pair{64, "slow.yaml"}, std::pair{3200, "card.yaml"}}) {
    SCOPED_TRACE(card);
    const RunResult r = run(scenario({"engine.kv_transfer=push-layerwise", "engine.max_num_batched_tokens=4096",
                                      std::string("hardware=" HEADROOM_SOURCE_DIR "/tests/support/") + card}),
                            {{0, tokens, 3}});
    const double link = static_cast<double>(tokens) * 1024 / 1e9, step = step_of(r.requests[0]);
    EXPECT_EQ(link / 2 < step / 2, tokens == 64) << "one case hides all but the last layer, the other does not";
    EXPECT_NEAR(r.transfers[0].arrived - r.requests[0].first_token, std::max(link / 2, link - step / 2), 1e-12);
    EXPECT_EQ(r.transfers[0].bytes, Bytes{tokens * 1024});
  }
}

TEST(Handover, EarlierChunksAreSentDuringThem) {
  const RunResult whole = run(scenario({"engine.kv_transfer=push-layerwise"}), {{0, 512, 2}});
  const RunResult chunks =
      run(scenario({"engine.kv_transfer=push-layerwise", "engine.max_num_seqs=8", "engine.max_num_batched_tokens=128"}),
          {{0, 512, 2}});
  EXPECT_EQ(chunks.replicas[0].steps, 4);
  EXPECT_EQ(chunks.transfers[0].bytes, whole.transfers[0].bytes);
  EXPECT_LT(chunks.transfers[0].started, chunks.requests[0].first_token - 3 * step_of(chunks.requests[0]) / 4);
  EXPECT_NEAR(chunks.transfers[0].arrived - chunks.requests[0].first_token, kPrompt, 1e-12);  // half of 128 tokens
}

TEST(Handover, WhatTheTargetHasDoesNotMove) {
  const RunResult r = run(scenario(), {{0, 64, 2, 7}, {1, 64, 2, 7}, {2, 80, 2, 7}});
  EXPECT_EQ(r.transfers[0].bytes, Bytes{65536});
  EXPECT_EQ(r.transfers[1].bytes, Bytes{0});
  EXPECT_EQ(r.transfers[1].arrived, r.transfers[1].started);
}

TEST(Handover, AFullDecodePoolHoldsUpThePrefillPool) {
  // Five usable blocks on each side; a prompt of 64 takes four here, five there with its first output token.
  const RunResult r = run(scenario({"engine.num_gpu_blocks_override=6"}), {{0, 64, 10}, {0, 64, 10}, {0, 64, 10}});
  ASSERT_EQ(r.transfers.size(), 3U);
  for (const RequestRecord& q : r.requests) EXPECT_EQ(q.status, RequestStatus::kFinished);
  EXPECT_NEAR(r.requests[1].scheduled, r.transfers[0].arrived, 1e-12);  // its blocks were held until then
  EXPECT_NEAR(r.transfers[1].granted, r.requests[0].finish, 1e-12);
  EXPECT_NEAR(r.requests[2].scheduled, r.transfers[1].arrived, 1e-12);
  EXPECT_GT(r.transfers[1].granted - r.transfers[1].asked, 0);
  EXPECT_GT(r.replicas[0].external + r.replicas[1].external, 0);
}

TEST(Handover, OneTokenEndsWhereItIsMade) {
  for (const char* how : {"pull", "push", "push-layerwise"}) {
    const RunResult r = run(scenario({std::string("engine.kv_transfer=") + how}), {{0, 64, 1}, {0, 64, 2}});
    EXPECT_EQ(r.transfers.size(), 1U);
    EXPECT_EQ(r.requests[0].replica, 0U);
    EXPECT_EQ(r.requests[0].status, RequestStatus::kFinished);
  }
}

TEST(Handover, BytesOnTheLinksAreThoseOfTheTransfers) {
  for (const char* how : {"pull", "push", "push-layerwise"}) {
    std::vector<Asked> asked;
    for (int i = 0; i < 40; ++i) asked.push_back({0.001 * i, 10 + 37 * i % 300, 1 + i % 20});
    const RunResult r = run(scenario({std::string("engine.kv_transfer=") + how}), asked);
    Bytes moved{0};
    for (const KvTransfer& t : r.transfers) moved += t.bytes;
    EXPECT_GT(moved.count(), 0);
    int carriers = 0;
    for (const LinkUse& link : r.links) {
      if (link.bytes == 0) continue;
      EXPECT_NEAR(link.bytes, static_cast<double>(moved.count()), 1e-3) << link.name;
      ++carriers;
    }
    EXPECT_EQ(carriers, 4);  // PCIe and a card on either side
  }
}

}  // namespace
}  // namespace headroom
