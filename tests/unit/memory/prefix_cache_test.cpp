// Block pool and prefix cache, by the rules of SEMANTICS 2.2.4 worked out by hand.
#include <gtest/gtest.h>

#include <memory>

#include "sim/memory/block_pool.h"
#include "sim/memory/kv_allocator.h"

namespace headroom {
namespace {

TEST(BlockPool, TakesInBlockOrderAndGivesBackToTheTail) {
  BlockPool pool(3);
  const BlockId a = pool.take().id, b = pool.take().id;
  EXPECT_LT(index_of(a), index_of(b));
  pool.release(b);
  pool.release(a);
  const BlockId c = pool.take().id;  // the third, unused longest
  EXPECT_NE(c, a);
  EXPECT_NE(c, b);
  EXPECT_EQ(pool.take().id, b);
  EXPECT_EQ(pool.take().id, a);
  EXPECT_EQ(pool.num_free(), 0);
}

TEST(BlockPool, ATouchedBlockLeavesTheQueueWithItsContent) {
  BlockPool pool(2);
  const BlockId a = pool.take().id;
  pool.set_key(a, kIndexed | 5);
  pool.release(a);
  EXPECT_EQ(pool.num_cached(), 1);
  pool.touch(a);
  pool.touch(a);
  EXPECT_EQ(pool.references(a), 2);
  EXPECT_EQ(pool.num_cached(), 0);
  pool.release(a);
  EXPECT_EQ(pool.num_free(), 1) << "somebody still holds it";
  pool.release(a);
  pool.take();
  EXPECT_EQ(pool.take().evicted, kIndexed | 5);
}

std::unique_ptr<KvAllocator> cache(std::int64_t blocks) {
  KvAllocatorOptions o;
  o.block_size = 4;
  o.capacity_tokens = blocks * 4;
  o.kv_bytes_per_token = 1;
  o.enable_prefix_caching = true;
  for (const KvAllocatorEntry& entry : kv_allocators())
    if (entry.name == "paged") return entry.make(o);
  return nullptr;
}

struct Prompt {
  std::vector<ContentSegment> content;
  KvDemand demand;
  Prompt(std::vector<ContentSegment> c, std::int64_t tokens, std::uint32_t request) : content(std::move(c)) {
    demand.content = content;
    demand.prompt_tokens = tokens;
    demand.final_tokens = tokens + 1;
    demand.request = RequestId{request};
  }
};

void compute(KvAllocator& kv, std::uint32_t id, const Prompt& p) {
  const std::int64_t hit = kv.cached_prefix(p.demand);
  kv.open(SequenceId{id}, p.demand, hit, p.demand.prompt_tokens);
  kv.store(SequenceId{id}, p.demand.prompt_tokens);
}

TEST(PrefixCache, AFullHitRecomputesTheLastBlock) {
  const auto kv = cache(16);
  const Prompt first({{7, 16}}, 16, 0), again({{7, 16}}, 16, 1), longer({{7, 16}}, 18, 2);
  compute(*kv, 0, first);
  EXPECT_EQ(kv->cached_prefix(again.demand), 12) << "divisible by the block: the whole last block";
  EXPECT_EQ(kv->cached_prefix(longer.demand), 16);
}

TEST(PrefixCache, OnlyEqualBeginningsCount) {
  const auto kv = cache(16);
  compute(*kv, 0, Prompt({{7, 8}, {8, 8}}, 16, 0));
  EXPECT_EQ(kv->cached_prefix(Prompt({{7, 8}, {9, 8}}, 20, 1).demand), 8);
  EXPECT_EQ(kv->cached_prefix(Prompt({{9, 8}, {8, 8}}, 20, 2).demand), 0) << "the chain differs from its first block";
  EXPECT_EQ(kv->cached_prefix(Prompt({{7, 6}, {8, 10}}, 20, 3).demand), 4) << "other content within the second block";
}

TEST(PrefixCache, TheTailOfAChainIsEvictedBeforeItsHead) {
  const auto kv = cache(6);
  const Prompt chain({{7, 16}}, 16, 0);
  compute(*kv, 0, chain);  // blocks 1 to 4
  kv->close(SequenceId{0}, false);
  compute(*kv, 1, Prompt({}, 12, 1));  // blocks 5, 6 and the chain's tail
  EXPECT_EQ(kv->cached_prefix(Prompt({{7, 16}}, 17, 2).demand), 12);
}

TEST(PrefixCache, CachedBlocksAreFreeBlocks) {
  const auto kv = cache(4);
  compute(*kv, 0, Prompt({{7, 16}}, 16, 0));
  kv->close(SequenceId{0}, false);
  EXPECT_EQ(kv->available(), 4);
  EXPECT_EQ(kv->usage().cached, 16);
  EXPECT_EQ(kv->usage().empty, 0);
  // Hit blocks that nobody holds sit in the free queue and leave it: three hits and one new need all four.
  const Prompt again({{7, 16}}, 16, 1);
  EXPECT_TRUE(kv->can_open(again.demand, 12, 16, 0));
  EXPECT_FALSE(kv->can_open(again.demand, 12, 16, 1));
}

TEST(PrefixCache, APreemptedRequestFindsItsOwnBlocks) {
  const auto kv = cache(8);
  const Prompt own({}, 13, 5);
  compute(*kv, 0, own);
  kv->close(SequenceId{0}, true);
  EXPECT_EQ(kv->cached_prefix(own.demand), 12);
  EXPECT_EQ(kv->cached_prefix(Prompt({}, 13, 6).demand), 0) << "nobody else does";
}

}  // namespace
}  // namespace headroom
