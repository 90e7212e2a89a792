#include <gtest/gtest.h>

#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

WorkloadSpec spec(std::int64_t n) {
  WorkloadSpec w;
  w.requests = n;
  w.arrivals.rate = 5;
  w.prompt_tokens = {LengthDistribution::Kind::kLognormal, 100, 1, 1, 500, {}};
  w.output_tokens = {LengthDistribution::Kind::kExponential, 50, 0, 1, 0, {}};
  return w;
}

TEST(Workload, SourcesAreIndependent) {
  WorkloadSpec a = spec(500), b = a;
  b.output_tokens.mean = 999;
  b.shared_prefix = SharedPrefix{64, 4, 0.5};
  b.arrivals.rate = 50;
  const Workload x = make_workload(a, 9), y = make_workload(b, 9);
  for (std::size_t i = 0; i < 500; ++i) {
    const std::int64_t shared = y.requests[i].num_segments > 0 ? 64 : 0;
    EXPECT_EQ(x.requests[i].prompt_tokens, y.requests[i].prompt_tokens - shared);
    EXPECT_NEAR(x.requests[i].arrival.count(), 10 * y.requests[i].arrival.count(), 1e-9);
  }
}

TEST(Workload, SharedPrefixesComeAtTheirShare) {
  WorkloadSpec w = spec(4000);
  w.shared_prefix = SharedPrefix{64, 4, 0.25};
  const Workload x = make_workload(w, 1);
  int with = 0;
  for (const Request& r : x.requests) with += r.num_segments > 0;
  EXPECT_NEAR(with, 1000, 110);
}

TEST(Workload, ATurnStartsWithAllThatWasSaid) {
  WorkloadSpec w = spec(300);
  w.sessions = SessionSpec{{LengthDistribution::Kind::kFixed, 4, 0, 1, 0, {}}, Seconds{2}};
  w.prompt_tokens.max = 4000;
  const Workload x = make_workload(w, 1);
  int later = 0;
  for (std::size_t i = 0; i < x.requests.size(); ++i) {
    if (x.follow_up[i] == Workload::kNoFollowUp) continue;
    const Request &before = x.requests[i], &after = x.requests[x.follow_up[i]];
    EXPECT_EQ(before.session, after.session);
    EXPECT_LT(after.arrival.count(), 0) << "it waits for the answer";
    const auto said = x.content(before), now = x.content(after);
    ASSERT_GT(now.size(), said.size());
    for (std::size_t s = 0; s < said.size(); ++s) EXPECT_EQ(said[s], now[s]);
    EXPECT_EQ(now[said.size()].id, before.output_content);
    EXPECT_EQ(now[said.size()].tokens, before.output_tokens);
    EXPECT_GT(after.prompt_tokens, before.prompt_tokens + before.output_tokens);
    ++later;
  }
  EXPECT_GT(later, 200);
}

TEST(Workload, ClosedLoopKeepsItsUsers) {
  WorkloadSpec w = spec(100);
  w.arrivals.kind = ArrivalProcess::Kind::kClosedLoop;
  w.arrivals.users = 7;
  const Workload x = make_workload(w, 1);
  int at_once = 0;
  for (const Request& r : x.requests) at_once += r.arrival.count() == 0;
  EXPECT_EQ(at_once, 7);
  EXPECT_EQ(x.follow_up[0], 7U);
  EXPECT_EQ(x.follow_up[99], Workload::kNoFollowUp);
}

TEST(Workload, TimeScaleStretchesATrace) {
  WorkloadSpec w;
  w.trace = TraceSpec{TraceFormat::kAzure, HEADROOM_SOURCE_DIR "/configs/traces/azure-conv-2023.csv.gz", 512};
  w.arrivals.kind = ArrivalProcess::Kind::kTrace;
  w.requests = 100;
  const Workload once = make_workload(w, 1);
  w.time_scale = 3;
  const Workload slow = make_workload(w, 1);
  EXPECT_NEAR(slow.requests.back().arrival.count(), 3 * once.requests.back().arrival.count(), 1e-9);
}

}  // namespace
}  // namespace headroom
