// A run of three requests whose numbers fit on a napkin.
#include "sim/metrics/summary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/workload/random.h"

namespace headroom {
namespace {

RequestRecord request(std::uint32_t id, double arrival, double scheduled, double first, double finish, int prompt,
                      int output) {
  RequestRecord r;
  r.id = RequestId{id};
  r.arrival = arrival;
  r.scheduled = scheduled;
  r.first_token = first;
  r.finish = finish;
  r.prompt_tokens = prompt;
  r.output_tokens = output;
  return r;
}

RunResult napkin() {
  RunResult run;
  run.duration = 10;
  run.gpus = 2;
  run.requests = {request(0, 0, 1, 2, 6, 100, 5), request(1, 2, 2, 3, 3, 50, 1), request(2, 3, -1, -1, 3, 9999, 0)};
  run.requests[2].status = RequestStatus::kRejected;
  run.requests[0].preemptions = 2;
  ReplicaResult r;
  r.steps = 8;
  r.sequence_steps = 20;
  r.max_batch = 4;
  r.busy = 5;
  r.extrapolated = 1;
  r.slots = SlotSeconds{40, 10, 5, 3, 2, 40};
  r.external = 15;
  r.prefix_hit_tokens = 30;
  r.prefix_query_tokens = 120;
  run.replicas = {r};
  return run;
}

HardwareProfile card() {
  HardwareProfile h;
  h.idle_power = Watts{50};
  h.peak_power = Watts{250};
  h.price_per_hour = Dollars{3.6};
  return h;
}

TEST(Summary, Napkin) {
  const Summary s = summarize(napkin(), card(), {});
  EXPECT_EQ(s.submitted, 3);
  EXPECT_EQ(s.completed, 2);
  EXPECT_EQ(s.rejected, 1);
  EXPECT_EQ(s.preempted, 1);
  EXPECT_DOUBLE_EQ(s.ttft.mean, 1.5);
  EXPECT_EQ(s.tpot.count, 1) << "a request of one token has none";
  EXPECT_DOUBLE_EQ(s.tpot.mean, 1.0);
  EXPECT_DOUBLE_EQ(s.e2el.max, 6);
  EXPECT_DOUBLE_EQ(s.queue.max, 1);
  EXPECT_DOUBLE_EQ(s.normalized.max, 1.2);
  EXPECT_DOUBLE_EQ(s.requests_per_s, 0.2);
  EXPECT_DOUBLE_EQ(s.output_tokens_per_s, 0.6);
  EXPECT_DOUBLE_EQ(s.total_tokens_per_s, 15.6);
  EXPECT_DOUBLE_EQ(s.mean_batch, 2.5);
  EXPECT_DOUBLE_EQ(s.prefix_cache_hit_rate, 0.25);
  EXPECT_DOUBLE_EQ(s.waste.token_states, 0.4);
  EXPECT_DOUBLE_EQ(s.waste.external, 0.15);
  EXPECT_DOUBLE_EQ(s.waste.free, 0.25);
  EXPECT_DOUBLE_EQ(s.busy_fraction, 0.5);
  EXPECT_DOUBLE_EQ(s.energy_joules, 2 * 10 * 150.0);
  EXPECT_DOUBLE_EQ(s.usd, 2 * 3.6 * 10 / 3600);
  EXPECT_DOUBLE_EQ(s.usd_per_million_output_tokens, s.usd / 6e-6);
  EXPECT_DOUBLE_EQ(s.extrapolated_time_fraction, 0.2);
}

TEST(Summary, GoodputNeedsEveryBound) {
  const auto good = [](double ttft, double tpot, double e2el) {
    return summarize(napkin(), card(), SloBounds{ttft, tpot, e2el}).goodput_fraction * 3;
  };
  EXPECT_DOUBLE_EQ(good(-1, -1, -1), 2);
  EXPECT_DOUBLE_EQ(good(1.5, -1, -1), 1);  // TTFTs are 2 and 1
  EXPECT_DOUBLE_EQ(good(2, 0.9, -1), 1);   // the one-token request counts as TPOT 0
  EXPECT_DOUBLE_EQ(good(2, 1, 5.9), 1);
  EXPECT_DOUBLE_EQ(good(2, 1, 6), 2);
  EXPECT_DOUBLE_EQ(good(0.5, 1, 6), 0);
}

// SEMANTICS 8.2: TPOT is (E2EL - TTFT) / (out - 1); samples stream side by side, so each has its share of the output.
TEST(Summary, TimesPerTokenAreThoseOfOneAnswer) {
  RunResult run;
  run.duration = 10;
  run.requests = {request(0, 1, 1, 3, 9, 100, 12)};
  run.requests[0].samples = 4;  // 3 tokens each
  const Summary s = summarize(run, card(), {});
  EXPECT_DOUBLE_EQ(s.tpot.mean, 3);
  EXPECT_DOUBLE_EQ(s.normalized.mean, 8 / 3.0);
  EXPECT_DOUBLE_EQ(s.output_tokens_per_s, 1.2);
}

TEST(Summary, GapsArePooledOverRequests) {
  RunResult run = napkin();
  run.gaps = {{0.1, 0, 3, 1}, {0.5, 0, 1, 1}};
  const Summary s = summarize(run, card(), {});
  EXPECT_EQ(s.itl.count, 4);
  EXPECT_DOUBLE_EQ(s.itl.mean, 0.2);
  EXPECT_DOUBLE_EQ(s.itl.p90, 0.38);  // numpy.percentile([.1, .1, .1, .5], 90)
}

TEST(Summary, OutOfMemoryIsNoCompletionAndKeepsOutOfTheLatencies) {
  RunResult run = napkin();
  run.requests[0].status = RequestStatus::kOutOfMemory;
  const Summary s = summarize(run, card(), {});
  EXPECT_EQ(s.completed, 1);
  EXPECT_EQ(s.rejected, 2);
  EXPECT_EQ(s.e2el.count, 1);
  EXPECT_DOUBLE_EQ(s.e2el.max, 1);
  EXPECT_DOUBLE_EQ(s.output_tokens_per_s, 0.1);
  EXPECT_EQ(s.tpot.count, 0);
}

TEST(Summary, ReplicasAreAddedUpByTheirTime) {
  RunResult run = napkin();
  ReplicaResult other;
  other.steps = 2;
  other.sequence_steps = 2;
  other.max_batch = 9;
  other.preemptions = 3;
  other.busy = 1;
  other.extrapolated = 1;
  other.slots = SlotSeconds{0, 0, 0, 0, 0, 300};
  other.prefix_query_tokens = 30;
  run.replicas.push_back(other);
  const Summary s = summarize(run, card(), {});
  EXPECT_EQ(s.steps, 10);
  EXPECT_EQ(s.max_batch, 9);
  EXPECT_EQ(s.preemptions, 3);
  EXPECT_DOUBLE_EQ(s.mean_batch, 2.2);
  EXPECT_DOUBLE_EQ(s.busy_fraction, 0.3);
  EXPECT_DOUBLE_EQ(s.extrapolated_time_fraction, 2 / 6.0);
  EXPECT_DOUBLE_EQ(s.prefix_cache_hit_rate, 0.2);
  EXPECT_DOUBLE_EQ(s.waste.token_states, 0.1);  // 40 of 400 slot-seconds
  EXPECT_DOUBLE_EQ(s.waste.free, 325 / 400.0);
}

TEST(Summary, WasteFractionsAddUpToOne) {
  Random random(2, "waste");
  for (int trial = 0; trial < 1000; ++trial) {
    RunResult run;
    run.duration = 1;
    run.replicas.resize(1 + random.below(4));
    for (ReplicaResult& r : run.replicas) {
      const auto some = [&] { return random.below(3) == 0 ? 0 : std::pow(10, 12 * random.uniform()); };
      r.slots = SlotSeconds{some(), some(), some(), some(), some(), some()};
      r.external = r.slots.empty * (random.below(2) == 0 ? 1 : random.uniform());
    }
    const WasteFractions w = summarize(run, card(), {}).waste;
    const double parts[] = {w.token_states, w.reservation, w.internal, w.external, w.padding, w.cached, w.free};
    double sum = 0;
    for (const double part : parts) {
      EXPECT_GE(part, 0) << trial;
      sum += part;
    }
    EXPECT_NEAR(sum, 1, 1e-12) << trial;
  }
}

TEST(Summary, NothingCompletedDividesByNothing) {
  RunResult run;
  run.requests = {request(0, 0, -1, -1, 0, 1, 0)};
  run.requests[0].status = RequestStatus::kRejected;
  run.replicas.resize(1);
  const Summary s = summarize(run, card(), {});
  EXPECT_EQ(s.requests_per_s, 0);
  EXPECT_EQ(s.waste.free, 1);
  EXPECT_EQ(s.usd_per_million_output_tokens, 0);
  EXPECT_EQ(s.goodput_fraction, 0);
  EXPECT_EQ(s.mean_batch, 0);
  EXPECT_EQ(s.energy_joules, 0);
  const Summary none = summarize(RunResult{}, card(), {});
  EXPECT_EQ(none.submitted, 0);
  EXPECT_EQ(none.goodput_fraction, 0);
  EXPECT_EQ(none.busy_fraction, 0);
}

}  // namespace
}  // namespace headroom
