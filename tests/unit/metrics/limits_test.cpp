// What binds, on ledgers worked out by hand.
#include "sim/metrics/limits.h"

#include <gtest/gtest.h>

namespace headroom {
namespace {

// Ten seconds of one replica: 4 s of prefill steps of 500 tokens, 4 s of decode steps of 10, 1 s of host, 1 s idle. One
// request waits from 2 s to 5 s for blocks and from 5 s to 6 s for a place in the batch.
RunResult ten_seconds() {
  RunResult run;
  run.duration = 10;
  ReplicaResult r;
  r.busy = 8;
  r.host = 1;
  r.slots.tokens = 50;
  r.slots.internal = 10;
  r.slots.cached = 20;
  r.slots.empty = 20;
  r.preemptions = 1;
  run.replicas = {r};
  run.trace = {{.start = 0, .duration = 4, .replica = 0, .steps = 1, .decodes = 0, .prefill_tokens = 500},
               {.start = 4, .duration = 4, .replica = 0, .steps = 40, .decodes = 10, .prefill_tokens = 0}};
  const auto row = [](double time, bool blocked, int running, int waiting) {
    TimelineRow t;
    t.time = time;
    t.head_blocked = blocked;
    t.running = running;
    t.waiting = waiting;
    return t;
  };
  run.timeline = {row(0, false, 1, 0), row(2, true, 2, 1), row(5, false, 4, 1), row(6, false, 4, 0)};
  const auto request = [](double first, double finish) {
    RequestRecord q;
    q.arrival = 0;
    q.scheduled = first - 0.25;
    q.first_token = first;
    q.finish = finish;
    q.output_tokens = 11;
    return q;
  };
  run.requests = {request(0.5, 1.5), request(3, 4), request(0.5, 2.5), request(0.5, 1.5)};
  return run;
}

const LimitFacts kFacts{.max_num_seqs = 4, .ridge_tokens = 100, .slo = {.ttft = 1, .tpot = 0.15, .e2el = -1}};

TEST(Limits, SharesOfTimeAddUpToOne) {
  const Limits l = limits_of(ten_seconds(), kFacts);
  EXPECT_DOUBLE_EQ(l.compute, 0.4);
  EXPECT_DOUBLE_EQ(l.bandwidth, 0.4);
  EXPECT_DOUBLE_EQ(l.communication, 0);
  EXPECT_DOUBLE_EQ(l.host, 0.1);
  EXPECT_DOUBLE_EQ(l.idle, 0.1);
  EXPECT_DOUBLE_EQ(l.waits_for_kv, 0.3);
  EXPECT_DOUBLE_EQ(l.waits_for_batch, 0.1);
  EXPECT_DOUBLE_EQ(l.waits_for_tokens, 0);
  EXPECT_DOUBLE_EQ(l.kv_used, 0.6);
  EXPECT_DOUBLE_EQ(l.preemptions_per_request, 0.25);
  EXPECT_DOUBLE_EQ(l.misses_ttft, 0.25);
  EXPECT_DOUBLE_EQ(l.misses_tpot, 0.25);
  EXPECT_DOUBLE_EQ(l.late_in_queue, 1);
}

TEST(Limits, WhatBindsFollowsWhatIsMissed) {
  Limits l;
  l.bandwidth = 0.6;
  l.compute = 0.4;
  l.misses_tpot = 0.2;
  l.waits_for_kv = 0.3;
  EXPECT_EQ(binding(l), "bandwidth");  // waiting does not slow tokens down
  l.misses_ttft = 0.3;
  EXPECT_EQ(binding(l), "KV memory");
  l.waits_for_batch = 0.4;
  EXPECT_EQ(binding(l), "batch limit");
  l.waits_for_tokens = 0.5;
  EXPECT_EQ(binding(l), "bandwidth");
  l.host = 0.7;
  EXPECT_EQ(binding(l), "host");
  l.waits_for_kv = l.waits_for_batch = l.waits_for_tokens = 0;
  EXPECT_EQ(binding(l), "compute");  // a prompt alone takes too long
  l.late_in_queue = 0.9;
  EXPECT_EQ(binding(l), "host");  // it does not
}

}  // namespace
}  // namespace headroom
