// The prefix cache, by the rules of SEMANTICS 2.2.4 worked out by hand.
#include "sim/memory/prefix_cache.h"

#include <gtest/gtest.h>

#include <memory>

#include "sim/memory/kv_allocator.h"

namespace headroom {
namespace {

constexpr RunKey kRun = 77;

std::int64_t found(const PrefixCache& cache, std::int64_t first, std::int64_t blocks) {
  std::vector<PrefixCache::Hit> hits;
  return cache.find(Stretch{kRun, first, blocks}, hits);
}

TEST(PrefixCacheBlocks, WhatWasUnusedLongestGoesFirstAndAChainFromItsEnd) {
  PrefixCache cache(10);
  std::vector<PrefixCache::Held> a, b;
  cache.take(4);
  cache.enter(Stretch{kRun, 0, 4}, a);
  cache.take(2);
  EXPECT_EQ(cache.num_free(), 4);
  EXPECT_EQ(cache.release(a[0]), 4);
  cache.release_lost(2);
  EXPECT_EQ(cache.num_free(), 10);
  EXPECT_EQ(cache.num_cached(), 6);
  cache.take(4);  // never used
  EXPECT_EQ(found(cache, 0, 9), 4);
  cache.take(1);
  EXPECT_EQ(found(cache, 0, 9), 3);
  EXPECT_EQ(found(cache, 3, 1), 0);
  cache.take(3);
  EXPECT_EQ(found(cache, 0, 9), 0);
  EXPECT_EQ(cache.num_cached(), 2);
  cache.take(2);
  EXPECT_EQ(cache.num_free(), 0);
}

TEST(PrefixCacheBlocks, APartThatIsHeldIsSplitOff) {
  PrefixCache cache(8);
  std::vector<PrefixCache::Held> whole, part, more;
  std::vector<PrefixCache::Hit> hits;
  cache.take(8);
  cache.enter(Stretch{kRun, 0, 8}, whole);
  ASSERT_EQ(cache.find(Stretch{kRun, 0, 3}, hits), 3);
  cache.hold(hits, part);
  EXPECT_EQ(cache.release(whole[0]), 5) << "three have another holder";
  EXPECT_EQ(cache.num_free(), 5);
  hits.clear();
  ASSERT_EQ(cache.find(Stretch{kRun, 0, 6}, hits), 6) << "one piece that is held, one that is not";
  EXPECT_TRUE(cache.held(hits[0]));
  EXPECT_FALSE(cache.held(hits[1]));
  cache.hold(hits, more);
  EXPECT_EQ(cache.num_free(), 2);
  EXPECT_EQ(cache.release(part[0]), 0);
  cache.take(2);
  EXPECT_EQ(found(cache, 0, 8), 6);
  EXPECT_EQ(cache.release(more[1]) + cache.release(more[0]), 6);
  EXPECT_EQ(cache.num_free(), 6);
}

TEST(PrefixCacheBlocks, OfEqualBlocksTheOneEnteredFirstIsFound) {
  PrefixCache cache(20);
  std::vector<PrefixCache::Held> a, b;
  cache.take(20);
  cache.enter(Stretch{kRun, 0, 2}, a);
  cache.enter(Stretch{kRun, 0, 6}, b);
  cache.enter(Stretch{kRun, 2, 4}, a);
  ASSERT_EQ(a.size(), 2u) << "others entered the same in between";
  std::vector<PrefixCache::Hit> hits;
  ASSERT_EQ(cache.find(Stretch{kRun, 0, 6}, hits), 6);
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0].piece, a[0].piece);
  EXPECT_EQ(hits[1].piece, b[0].piece);
  EXPECT_EQ(hits[1].from, 2);
  hits.clear();
  cache.release(b[0]);
  cache.take(6);
  ASSERT_EQ(cache.find(Stretch{kRun, 0, 6}, hits), 6);
  EXPECT_EQ(hits[1].piece, a[1].piece);
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

// The next turn of a session: its prompt begins with this prompt and this output.
TEST(PrefixCache, AnOutputIsFoundFromItsFirstToItsLastFullBlock) {
  const auto kv = cache(16);
  Prompt turn({{7, 6}}, 6, 0);
  turn.demand.final_tokens = 13;
  turn.demand.output_content = 9;
  const Prompt next({{7, 6}, {9, 8}}, 20, 1);
  compute(*kv, 0, turn);
  EXPECT_EQ(kv->cached_prefix(next.demand), 4);
  kv->join(SequenceId{0});
  SlotSeconds ledger;
  kv->advance(7, Seconds{1}, Seconds{0}, ledger);  // the last of eight output tokens is never stored
  kv->leave(SequenceId{0});
  kv->close(SequenceId{0}, false);
  EXPECT_EQ(kv->cached_prefix(next.demand), 12) << "slots 4 to 11 hold two tokens of the prompt and six of the output";
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
