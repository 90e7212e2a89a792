// Workloads put together from their sources: who changes whose draws, what follows whom, whose prompts begin alike.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/unit/workload/trace_files.h"

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

TEST(Workload, TheSameSeedGivesTheSameWorkload) {
  const Workload x = make_workload(spec(200), 9), y = make_workload(spec(200), 9), other = make_workload(spec(200), 10);
  int alike = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(x.requests[i].arrival, y.requests[i].arrival);
    EXPECT_EQ(x.requests[i].prompt_tokens, y.requests[i].prompt_tokens);
    EXPECT_EQ(x.requests[i].output_tokens, y.requests[i].output_tokens);
    alike += x.requests[i].prompt_tokens == other.requests[i].prompt_tokens;
  }
  EXPECT_LT(alike, 20);
}

TEST(Workload, FewerRequestsAreTheFirstOnes) {
  const Workload all = make_workload(spec(200), 9), few = make_workload(spec(50), 9);
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(all.requests[i].arrival, few.requests[i].arrival);
    EXPECT_EQ(all.requests[i].prompt_tokens, few.requests[i].prompt_tokens);
  }
}

TEST(Workload, RequestsArriveInOrderAndIdsAreIndices) {
  const Workload x = make_workload(spec(500), 3);
  EXPECT_TRUE(x.follow_up.empty());
  for (std::size_t i = 0; i < x.requests.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(x.requests[i].id), i);
    if (i > 0) {
      EXPECT_GE(x.requests[i].arrival, x.requests[i - 1].arrival);
    }
    EXPECT_GE(x.requests[i].output_tokens, 1);
    EXPECT_LE(x.requests[i].prompt_tokens, 500);
  }
}

TEST(Workload, SharedPrefixesComeAtTheirShare) {
  WorkloadSpec w = spec(4000);
  w.shared_prefix = SharedPrefix{64, 4, 0.25};
  const Workload x = make_workload(w, 1);
  int with = 0;
  std::set<std::uint64_t> prompts;
  for (const Request& r : x.requests) {
    with += r.num_segments > 0;
    for (const ContentSegment& s : x.content(r)) {
      EXPECT_EQ(s.tokens, 64);
      prompts.insert(s.id);
    }
  }
  EXPECT_NEAR(with, 1000, 110);
  EXPECT_EQ(prompts.size(), 4U);
}

TEST(Workload, ASystemPromptStandsInFrontOfATracesPrefix) {
  WorkloadSpec w;
  w.requests = 50;
  w.arrivals.kind = ArrivalProcess::Kind::kTrace;
  w.trace = TraceSpec{TraceFormat::kMooncake, shipped("mooncake-conversation.csv.gz"), 512};
  const Workload plain = make_workload(w, 1);
  w.shared_prefix = SharedPrefix{100, 1, 1};
  const Workload led = make_workload(w, 1);
  for (std::size_t i = 0; i < 50; ++i) {
    const auto before = plain.content(plain.requests[i]), after = led.content(led.requests[i]);
    ASSERT_EQ(after.size(), before.size() + 1);
    EXPECT_EQ(after[0], led.content(led.requests[0])[0]);
    for (std::size_t s = 0; s < before.size(); ++s) EXPECT_EQ(after[s + 1], before[s]);
    EXPECT_EQ(led.requests[i].prompt_tokens, plain.requests[i].prompt_tokens + 100);
  }
}

TEST(Workload, SamplesOfARequestShareItsWholePromptAndNobodyElses) {
  WorkloadSpec w = spec(300);
  w.samples = 4;
  w.shared_prefix = SharedPrefix{64, 1, 0.5};
  const Workload x = make_workload(w, 1);
  std::set<std::uint64_t> own;
  for (const Request& r : x.requests) {
    EXPECT_EQ(r.samples, 4);
    std::int64_t covered = 0;
    for (const ContentSegment& s : x.content(r)) covered += s.tokens;
    EXPECT_EQ(covered, r.prompt_tokens);
    own.insert(x.content(r).back().id);
  }
  EXPECT_EQ(own.size(), 300U);
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

TEST(Workload, SessionsStayWithinTheirTurnsAndTheLongestPrompt) {
  WorkloadSpec w = spec(2000);
  w.sessions = SessionSpec{{LengthDistribution::Kind::kUniform, 0, 0, 1, 6, {}}, Seconds{2}};
  w.prompt_tokens.max = 500;
  const Workload x = make_workload(w, 1);
  ASSERT_EQ(x.requests.size(), 2000U);
  std::vector<int> turns(2001), triggered(2000);
  double before = 0, pause = 0;
  int later = 0;
  std::set<std::uint64_t> answers;
  for (std::size_t i = 0; i < 2000; ++i) {
    const Request& r = x.requests[i];
    EXPECT_EQ(static_cast<std::size_t>(r.id), i);
    EXPECT_LE(r.prompt_tokens, 500);
    EXPECT_TRUE(answers.insert(r.output_content).second);
    ++turns[r.session];
    if (x.follow_up[i] != Workload::kNoFollowUp) ++triggered[x.follow_up[i]];
    if (r.arrival.count() >= 0) {
      EXPECT_GE(r.arrival.count(), before);
      before = r.arrival.count();
    } else {
      pause += x.follow_up_delay[i].count();
      ++later;
    }
    std::int64_t covered = 0;
    for (const ContentSegment& s : x.content(r)) covered += s.tokens;
    EXPECT_EQ(covered, r.prompt_tokens);
  }
  for (std::size_t i = 0; i < 2000; ++i)  // a request arrives by itself or is triggered once
    EXPECT_EQ(triggered[i], x.requests[i].arrival.count() < 0 ? 1 : 0) << i;
  for (const int n : turns) EXPECT_LE(n, 6);
  EXPECT_NEAR(pause / later, 2, 4 * 2 / std::sqrt(later));
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
  EXPECT_EQ(x.follow_up[92], 99U);
  EXPECT_EQ(x.follow_up[93], Workload::kNoFollowUp);
  EXPECT_EQ(x.follow_up[99], Workload::kNoFollowUp);
  for (const Seconds delay : x.follow_up_delay) EXPECT_EQ(delay.count(), 0);
}

TEST(Workload, ThinkTimesAreConstantOrExponential) {
  WorkloadSpec w = spec(20'000);
  w.arrivals.kind = ArrivalProcess::Kind::kClosedLoop;
  w.arrivals.users = 3;
  w.arrivals.think_time = Seconds{1.5};
  for (const Seconds delay : make_workload(w, 1).follow_up_delay) EXPECT_EQ(delay.count(), 1.5);
  w.arrivals.exponential_think = true;
  double sum = 0, squares = 0;
  for (const Seconds delay : make_workload(w, 1).follow_up_delay) {
    sum += delay.count();
    squares += delay.count() * delay.count();
  }
  EXPECT_NEAR(sum / 20'000, 1.5, 4 * 1.5 / std::sqrt(20'000));
  EXPECT_NEAR(squares / 20'000, 2 * 1.5 * 1.5, 0.3);
}

TEST(Workload, MoreUsersThanRequestsAllComeAtOnce) {
  WorkloadSpec w = spec(5);
  w.arrivals.kind = ArrivalProcess::Kind::kClosedLoop;
  w.arrivals.users = 50;
  const Workload x = make_workload(w, 1);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(x.requests[i].arrival.count(), 0);
    EXPECT_EQ(x.follow_up[i], Workload::kNoFollowUp);
  }
}

TEST(Workload, ATraceCanBePlayedWithOtherArrivals) {
  WorkloadSpec w;
  w.trace = TraceSpec{TraceFormat::kShareGpt, shipped("sharegpt-1000.csv.gz"), 512};
  w.arrivals.kind = ArrivalProcess::Kind::kConstant;
  w.arrivals.rate = 4;
  const Workload x = make_workload(w, 1);
  ASSERT_EQ(x.requests.size(), 1000U);
  EXPECT_NEAR(x.requests[999].arrival.count(), 250, 1e-9);
  w.arrivals.kind = ArrivalProcess::Kind::kClosedLoop;
  w.arrivals.users = 2;
  EXPECT_EQ(make_workload(w, 1).follow_up[0], 2U);
}

TEST(Workload, TimeScaleStretchesATrace) {
  WorkloadSpec w;
  w.trace = TraceSpec{TraceFormat::kAzure, shipped("azure-conv-2023.csv.gz"), 512};
  w.arrivals.kind = ArrivalProcess::Kind::kTrace;
  w.requests = 100;
  const Workload once = make_workload(w, 1);
  w.time_scale = 3;
  const Workload slow = make_workload(w, 1);
  EXPECT_NEAR(slow.requests.back().arrival.count(), 3 * once.requests.back().arrival.count(), 1e-9);
}

}  // namespace
}  // namespace headroom
