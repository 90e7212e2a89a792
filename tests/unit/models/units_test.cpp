#include "models/units.h"

#include <gtest/gtest.h>

namespace headroom {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};
static_assert(Addable<Seconds, Seconds> && !Addable<Seconds, Bytes> && !Addable<Tokens, Blocks>);

TEST(Units, RateTimesAmount) {
  EXPECT_DOUBLE_EQ((Bytes{3'000} / BytesPerSecond{1'000}).count(), 3.0);
  EXPECT_EQ((BytesPerToken{7} * Tokens{6}).count(), 42);
}

TEST(Units, BlocksRoundUpAtTheEdge) {
  const TokensPerBlock b{16};
  EXPECT_EQ(blocks_for(Tokens{0}, b).count(), 0);
  EXPECT_EQ(blocks_for(Tokens{16}, b).count(), 1);
  EXPECT_EQ(blocks_for(Tokens{17}, b).count(), 2);
}

}  // namespace
}  // namespace headroom
