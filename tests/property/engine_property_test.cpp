// Random scenarios under every engine preset, in and out of memory pressure: what must hold whatever happens, and the
// fast path against the simulation of every single step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/engine/simulation.h"
#include "sim/metrics/summary.h"
#include "tests/property/random_scenarios.h"

namespace headroom {
namespace {

void near(double a, double b, const char* what) {
  ASSERT_LE(std::abs(a - b), 1e-9 * std::max({1e-3, std::abs(a), std::abs(b)})) << what << ": " << a << " and " << b;
}

void near(const SlotSeconds& a, const SlotSeconds& b) {
  const double all = a.tokens + a.reserved + a.internal + a.padding + a.cached + a.empty;
  const auto same = [&](double x, double y, const char* what) {
    EXPECT_LE(std::abs(x - y), 1e-9 * std::max(1e-9, all)) << what << ": " << x << " and " << y;
  };
  same(a.tokens, b.tokens, "tokens");
  same(a.reserved, b.reserved, "reserved");
  same(a.internal, b.internal, "internal");
  same(a.padding, b.padding, "padding");
  same(a.cached, b.cached, "cached");
  same(a.empty, b.empty, "empty");
}

void fast_equals_step_by_step(const Loaded& l) {
  const RunResult fast = simulate(l.scenario, l.workload);
  SimulationOptions options;
  options.step_by_step = true;
  const RunResult plain = simulate(l.scenario, l.workload, options);
  ASSERT_EQ(fast.requests.size(), plain.requests.size());
  for (std::size_t i = 0; i < fast.requests.size(); ++i) {
    SCOPED_TRACE("request " + std::to_string(i));
    const RequestRecord &f = fast.requests[i], &p = plain.requests[i];
    ASSERT_EQ(f.status, p.status);
    ASSERT_EQ(f.replica, p.replica);
    ASSERT_EQ(f.preemptions, p.preemptions);
    ASSERT_EQ(f.cached_tokens, p.cached_tokens);
    near(f.arrival, p.arrival, "arrival");
    near(f.scheduled, p.scheduled, "scheduled");
    near(f.first_token, p.first_token, "first token");
    near(f.finish, p.finish, "finish");
  }
  ASSERT_EQ(fast.transfers.size(), plain.transfers.size());
  for (std::size_t i = 0; i < fast.transfers.size(); ++i) {
    const KvTransfer &f = fast.transfers[i], &p = plain.transfers[i];
    ASSERT_EQ(f.request, p.request);
    ASSERT_EQ(f.target, p.target);
    ASSERT_EQ(f.bytes, p.bytes);
    near(f.granted, p.granted, "granted");
    near(f.started, p.started, "started");
    near(f.arrived, p.arrived, "arrived");
  }
  for (std::size_t i = 0; i < fast.replicas.size(); ++i) {
    SCOPED_TRACE("replica " + std::to_string(i));
    const ReplicaResult &f = fast.replicas[i], &p = plain.replicas[i];
    EXPECT_EQ(f.steps, p.steps);
    EXPECT_EQ(f.preemptions, p.preemptions);
    EXPECT_EQ(f.max_batch, p.max_batch);
    EXPECT_EQ(f.kv_peak, p.kv_peak);
    EXPECT_EQ(f.prefix_hit_tokens, p.prefix_hit_tokens);
    EXPECT_EQ(f.host_tier.hit_tokens, p.host_tier.hit_tokens);
    EXPECT_EQ(f.host_tier.loaded, p.host_tier.loaded);
    EXPECT_EQ(f.host_tier.stored, p.host_tier.stored);
    near(f.host_tier.load_wait, p.host_tier.load_wait, "load wait");
    near(f.busy, p.busy, "busy");
    near(f.gemm, p.gemm, "gemm");
    near(f.attention, p.attention, "attention");
    near(f.external, p.external, "external");
    near(f.slots, p.slots);
  }
  const Distribution f = distribution_of(fast.gaps), p = distribution_of(plain.gaps);
  EXPECT_EQ(f.count, p.count);
  near(f.mean, p.mean, "ITL mean");
  near(f.p50, p.p50, "ITL p50");
  near(f.p99, p.p99, "ITL p99");
  near(f.max, p.max, "ITL max");
}

// What a batch of unequal contexts takes longer, as a card's tables would say it.
void add_decode_tables(const ModelShape& model, HardwareProfile& card) {
  DecodeAttentionTable equal, unequal;
  equal.kv_dtype = unequal.kv_dtype = DType::kFloat16;
  for (const std::int64_t batch : {1, 2, 4, 16, 64})
    for (const std::int64_t context : {16, 64, 256, 1024}) {
      const auto bytes = static_cast<double>(batch * context * 4 * model.num_kv_heads * model.head_dim);
      const Seconds time{3e-6 + 1.5 * bytes / card.memory_bandwidth.rate()};
      equal.points.push_back({model.head_dim, model.num_heads, model.num_kv_heads, batch, context, time});
      if (batch == 1) continue;
      unequal.points.push_back(equal.points.back());
      unequal.points.back().time = (1.2 + 0.1 * static_cast<double>(context % 3)) * unequal.points.back().time;
    }
  card.decode_attention_tables = {equal};
  card.unequal_decode_tables = {unequal};
}

class EveryEngine : public ::testing::TestWithParam<std::size_t> {};

TEST_P(EveryEngine, FastAndStepByStepAgree) {
  const Case& c = cases()[GetParam()];
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    const Loaded l = load(c, seed);
    fast_equals_step_by_step(l);
    if (HasFailure()) return;
  }
}

TEST(UnequalContexts, FastAndStepByStepAgree) {
  std::size_t changed = 0;  // those with other kernels read no table
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.preset);
    for (std::uint64_t seed = 301; seed <= 303; ++seed) {
      SCOPED_TRACE(seed);
      Loaded l = load(c, seed);
      const double before = simulate(l.scenario, l.workload).replicas[0].attention;
      add_decode_tables(l.scenario.model, l.scenario.hardware);
      changed += simulate(l.scenario, l.workload).replicas[0].attention != before;
      fast_equals_step_by_step(l);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(changed, 2 * cases().size());
}

// SimGrid's clock, the plain calendar and replicas left to themselves, in any order: the same bytes.
TEST_P(EveryEngine, TheClockChangesNothing) {
  const Case& c = cases()[GetParam()];
  for (std::uint64_t seed = 201; seed <= 215; ++seed) {
    SCOPED_TRACE(seed);
    const Loaded l = load(c, seed);
    const RunResult plain = simulate(l.scenario, l.workload);
    SimulationOptions options;
    options.always_on_clock = true;
    const RunResult clocked = simulate(l.scenario, l.workload, options);
    ASSERT_EQ(plain.duration, clocked.duration);
    for (std::size_t i = 0; i < plain.requests.size(); ++i) {
      SCOPED_TRACE("request " + std::to_string(i));
      const RequestRecord &p = plain.requests[i], &q = clocked.requests[i];
      ASSERT_EQ(p.arrival, q.arrival);
      ASSERT_EQ(p.scheduled, q.scheduled);
      ASSERT_EQ(p.first_token, q.first_token);
      ASSERT_EQ(p.finish, q.finish);
      ASSERT_EQ(p.replica, q.replica);
    }
    for (std::size_t i = 0; i < plain.replicas.size(); ++i) {
      ASSERT_EQ(plain.replicas[i].busy, clocked.replicas[i].busy);
      ASSERT_EQ(plain.replicas[i].slots.tokens, clocked.replicas[i].slots.tokens);
      ASSERT_EQ(plain.replicas[i].external, clocked.replicas[i].external);
    }
  }
}

TEST_P(EveryEngine, NothingIsLostAndTimeGoesForward) {
  const Case& c = cases()[GetParam()];
  for (std::uint64_t seed = 101; seed <= 130; ++seed) {
    SCOPED_TRACE(seed);
    const Loaded l = load(c, seed);
    const RunResult run = simulate(l.scenario, l.workload);
    std::int64_t gaps = 0, expected_gaps = 0;
    for (const RequestRecord& r : run.requests) {
      SCOPED_TRACE("request " + std::to_string(static_cast<std::uint32_t>(r.id)));
      const Request& q = l.workload.requests[static_cast<std::size_t>(r.id)];
      ASSERT_GE(r.finish, 0) << "it never ends";
      ASSERT_LE(r.arrival, r.finish);
      ASSERT_LE(r.finish, run.duration * (1 + 1e-12));
      if (r.status != RequestStatus::kFinished) continue;
      ASSERT_LE(r.arrival, r.scheduled);
      ASSERT_LT(r.scheduled, r.first_token);
      ASSERT_LE(r.first_token, r.finish);
      ASSERT_EQ(r.output_tokens, q.output_tokens * q.samples);
      ASSERT_LT(r.cached_tokens, q.prompt_tokens);
      expected_gaps += (q.output_tokens - 1) * q.samples;
    }
    const bool any_lost = std::any_of(run.requests.begin(), run.requests.end(), [](const RequestRecord& r) {
      return r.status == RequestStatus::kOutOfMemory || (r.status == RequestStatus::kRejected && r.first_token >= 0);
    });
    const bool speculates = l.scenario.engine.scheduler.speculation.num_tokens > 0;
    for (const GapRun& g : run.gaps) {
      gaps += static_cast<std::int64_t>(g.steps) * g.sequences;
      ASSERT_GE(g.first, 0);
    }
    if (!any_lost && !speculates) {
      EXPECT_EQ(gaps, expected_gaps) << "gaps between tokens";
    }
    const Summary s = summarize(run, l.scenario.hardware, {});
    const WasteFractions& w = s.waste;
    EXPECT_NEAR(w.token_states + w.reservation + w.internal + w.external + w.padding + w.cached + w.free, 1, 1e-9);
    for (const double part : {w.token_states, w.reservation, w.internal, w.external, w.padding, w.cached, w.free})
      EXPECT_GE(part, -1e-12);
    const auto capacity = static_cast<double>(run.memory.kv_pool_tokens.count());
    for (const ReplicaResult& r : run.replicas) {
      const double all =
          r.slots.tokens + r.slots.reserved + r.slots.internal + r.slots.padding + r.slots.cached + r.slots.empty;
      EXPECT_GE(r.observed, run.duration);
      EXPECT_NEAR(all, capacity * r.observed, 1e-9 * capacity * r.observed);
      EXPECT_LE(r.kv_peak, run.memory.kv_pool);
      EXPECT_EQ(r.host_tier.stored, r.host_tier.evicted + r.host_tier.resident);
      EXPECT_LE(r.host_tier.resident, l.scenario.engine.kv_offloading_size);
      EXPECT_LE(r.busy, r.observed * (1 + 1e-9));
    }
    for (std::size_t i = 1; i < run.timeline.size(); ++i) ASSERT_LE(run.timeline[i - 1].time, run.timeline[i].time);
    for (const TimelineRow& row : run.timeline) ASSERT_EQ(row.slots.total(), run.memory.kv_pool_tokens.count());
    if (HasFailure()) return;
  }
}

std::string name_of_case(const ::testing::TestParamInfo<std::size_t>& info) {
  std::string name = std::to_string(info.param) + "_" + cases()[info.param].preset;
  for (const std::string& extra : cases()[info.param].extra) name += "_" + extra.substr(extra.find('.') + 1);
  std::string plain;
  for (const char ch : name) plain += std::isalnum(static_cast<unsigned char>(ch)) != 0 ? ch : '_';
  return plain.substr(0, 60);
}

INSTANTIATE_TEST_SUITE_P(Presets, EveryEngine, ::testing::Range<std::size_t>(0, cases().size()), name_of_case);

}  // namespace
}  // namespace headroom
