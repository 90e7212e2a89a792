// Transfers that share links, by hand: rates in bytes per second, times in seconds.
#include "sim/network/network.h"

#include <gtest/gtest.h>

#include <random>

namespace headroom {
namespace {

constexpr double kNever = Network::kNever;

Route through(std::vector<LinkId> links, double latency = 0) {
  return Route{std::move(links), Seconds{latency}};
}

TEST(Network, OneTransferTakesLatencyAndBytesOverBandwidth) {
  Network n;
  const LinkId link = n.add("link", BytesPerSecond{100});
  n.start(2, Bytes{300}, through({link}, 0.5));
  EXPECT_DOUBLE_EQ(n.next_change(), 2.5);
  n.advance(5.25);
  EXPECT_TRUE(n.ended.empty());
  EXPECT_DOUBLE_EQ(n.carried(link), 275);
  n.advance(10);
  ASSERT_EQ(n.ended.size(), 1u);
  EXPECT_DOUBLE_EQ(n.ended[0].time, 5.5);
  EXPECT_DOUBLE_EQ(n.carried(link), 300);
  EXPECT_EQ(n.next_change(), kNever);
}

TEST(Network, TwoOnOneLinkTakeTwiceAsLong) {
  Network n;
  const LinkId link = n.add("link", BytesPerSecond{100});
  const TransferId a = n.start(0, Bytes{300}, through({link}));
  const TransferId b = n.start(0, Bytes{300}, through({link}));
  EXPECT_DOUBLE_EQ(n.rate(a).rate(), 50);
  n.advance(100);
  ASSERT_EQ(n.ended.size(), 2u);
  EXPECT_EQ(n.ended[0].id, a);
  EXPECT_EQ(n.ended[1].id, b);
  EXPECT_DOUBLE_EQ(n.ended[0].time, 6);
  EXPECT_DOUBLE_EQ(n.ended[1].time, 6);
}

// 300 bytes from 0, 100 bytes from 1: alone 0..1 (100 moved), together at 50 until the small one ends at 3 (200), the
// last 100 alone until 4.
TEST(Network, WhoComesLaterSlowsDownAndLeaves) {
  Network n;
  const LinkId link = n.add("link", BytesPerSecond{100});
  const TransferId large = n.start(0, Bytes{300}, through({link}));
  const TransferId small = n.start(1, Bytes{100}, through({link}));
  n.advance(kNever);
  ASSERT_EQ(n.ended.size(), 2u);
  EXPECT_EQ(n.ended[0].id, small);
  EXPECT_DOUBLE_EQ(n.ended[0].time, 3);
  EXPECT_EQ(n.ended[1].id, large);
  EXPECT_DOUBLE_EQ(n.ended[1].time, 4);
}

// Links x = 60, y = 100. A over x and y, B over x, C over y. x holds A and B at 30 each; C has what A leaves of y, 70.
// All move 210 bytes: C ends at 3. A and B go on at 30 (x holds both still) and end at 7.
TEST(Network, ThreeTransfersMaxMinByHand) {
  Network n;
  const LinkId x = n.add("x", BytesPerSecond{60}), y = n.add("y", BytesPerSecond{100});
  const TransferId a = n.start(0, Bytes{210}, through({x, y}));
  const TransferId b = n.start(0, Bytes{210}, through({x}));
  const TransferId c = n.start(0, Bytes{210}, through({y}));
  EXPECT_DOUBLE_EQ(n.rate(a).rate(), 30);
  EXPECT_DOUBLE_EQ(n.rate(b).rate(), 30);
  EXPECT_DOUBLE_EQ(n.rate(c).rate(), 70);
  n.advance(kNever);
  ASSERT_EQ(n.ended.size(), 3u);
  EXPECT_EQ(n.ended[0].id, c);
  EXPECT_DOUBLE_EQ(n.ended[0].time, 3);
  EXPECT_DOUBLE_EQ(n.ended[1].time, 7);
  EXPECT_DOUBLE_EQ(n.ended[2].time, 7);
  EXPECT_DOUBLE_EQ(n.carried(x), 420);
  EXPECT_DOUBLE_EQ(n.carried(y), 420);
}

TEST(Network, WhatABoundedTransferLeavesGoesToOthers) {
  Network n;
  const LinkId link = n.add("link", BytesPerSecond{100});
  Route slow = through({link});
  slow.at_most = BytesPerSecond{10};
  const TransferId a = n.start(0, Bytes{100}, slow), b = n.start(0, Bytes{900}, through({link}));
  EXPECT_DOUBLE_EQ(n.rate(a).rate(), 10);
  EXPECT_DOUBLE_EQ(n.rate(b).rate(), 90);
}

TEST(Network, WithoutLinksOnlyLatencyPasses) {
  Network n;
  n.start(1, Bytes{1000}, Route{{}, Seconds{0.25}});
  n.advance(kNever);
  ASSERT_EQ(n.ended.size(), 1u);
  EXPECT_NEAR(n.ended[0].time, 1.25, 1e-12);
}

// Invariants 1 to 3 of the header on random platforms; every byte arrives.
TEST(Network, SharesAreMaxMinAndBytesAreConserved) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) -> unsigned { return static_cast<unsigned>(random()) % n; };
    Network n;
    const unsigned links = 1 + below(6);
    for (unsigned i = 0; i < links; ++i) n.add("", BytesPerSecond{10.0 + below(1000)});
    struct Sent {
      TransferId id;
      std::vector<LinkId> links;
      std::int64_t bytes;
    };
    std::vector<Sent> sent;
    std::vector<double> expected(links, 0);
    double time = 0;
    for (unsigned i = 0; i < 1 + below(20); ++i) {
      time += 0.1 * below(20);
      Sent s;
      for (unsigned link = 0; link < links; ++link)
        if (below(2) == 0) s.links.push_back(link);
      if (s.links.empty()) s.links.push_back(below(links));
      s.bytes = 1 + below(5000);
      s.id = n.start(time, Bytes{s.bytes}, through(s.links, 0.05 * below(3)));
      for (const LinkId link : s.links) expected[link] += static_cast<double>(s.bytes);
      sent.push_back(s);
      std::vector<double> load(links, 0), fastest(links, 0);
      for (const Sent& t : sent)
        for (const LinkId link : t.links) {
          load[link] += n.rate(t.id).rate();
          fastest[link] = std::max(fastest[link], n.rate(t.id).rate());
        }
      for (unsigned link = 0; link < links; ++link) EXPECT_LE(load[link], n.bandwidth(link).rate() * (1 + 1e-9));
      for (const Sent& t : sent) {
        const double rate = n.rate(t.id).rate();
        if (rate == 0) continue;
        EXPECT_TRUE(std::any_of(t.links.begin(), t.links.end(), [&](LinkId link) {
          return load[link] >= n.bandwidth(link).rate() * (1 - 1e-9) && rate >= fastest[link] * (1 - 1e-9);
        }));
      }
    }
    n.advance(kNever);
    EXPECT_EQ(n.ended.size(), sent.size());
    for (unsigned link = 0; link < links; ++link) EXPECT_NEAR(n.carried(link), expected[link], 1e-6 * expected[link]);
  }
}

}  // namespace
}  // namespace headroom
