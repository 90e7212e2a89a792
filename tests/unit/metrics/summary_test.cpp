// A run of three requests whose numbers fit on a napkin.
#include <gtest/gtest.h>

#include "sim/metrics/summary.h"

namespace headroom {
namespace {

RequestRecord request(std::uint32_t id, double arrival, double scheduled, double first, double finish, int prompt, int output) {
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
  EXPECT_DOUBLE_EQ(good(1.5, -1, -1), 1);      // TTFTs are 2 and 1
  EXPECT_DOUBLE_EQ(good(2, 0.9, -1), 1);       // the one-token request counts as TPOT 0
  EXPECT_DOUBLE_EQ(good(2, 1, 5.9), 1);
  EXPECT_DOUBLE_EQ(good(2, 1, 6), 2);
  EXPECT_DOUBLE_EQ(good(0.5, 1, 6), 0);
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
}

}  // namespace
}  // namespace headroom
