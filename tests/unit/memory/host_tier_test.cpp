// The host tier behind the prefix cache: what it keeps, what it drops, and that blocks are conserved.
#include "sim/memory/host_tier.h"

#include <gtest/gtest.h>

#include <memory>

#include "sim/memory/kv_allocator.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

std::int64_t found(const HostTier& tier, RunKey run, std::int64_t blocks) {
  std::vector<PrefixCache::Hit> hits;
  return tier.find({run, 0, blocks}, hits);
}

TEST(HostTier, KeepsOneCopyAndDropsWhatWasUnusedLongest) {
  HostTier tier(4);
  tier.store({10, 0, 2});
  tier.store({10, 0, 3});  // only the third is new
  EXPECT_EQ(tier.stored(), 3);
  tier.store({20, 0, 1});  // full
  EXPECT_EQ(tier.evicted(), 0);
  std::vector<PrefixCache::Hit> hits;
  tier.find({10, 0, 3}, hits);
  tier.touch(hits);        // 20 is now the oldest
  tier.store({30, 0, 2});  // 20 goes, then the end of 10
  EXPECT_EQ(found(tier, 20, 1), 0);
  EXPECT_EQ(found(tier, 10, 3), 2);
  EXPECT_EQ(found(tier, 30, 2), 2);
  EXPECT_EQ(tier.stored(), 6);
  EXPECT_EQ(tier.evicted(), 2);
  EXPECT_EQ(tier.resident(), 4);
}

TEST(HostTier, WhatIsBeingLoadedStays) {
  HostTier tier(3);
  tier.store({10, 0, 2});
  std::vector<PrefixCache::Hit> hits;
  std::vector<PrefixCache::Held> held;
  tier.find({10, 0, 2}, hits);
  tier.hold(hits, held);
  tier.store({20, 0, 5});  // one block is free: one is stored
  EXPECT_EQ(tier.stored(), 3);
  EXPECT_EQ(found(tier, 10, 2), 2);
  tier.let_go(held);
  EXPECT_TRUE(held.empty());
  tier.store({30, 0, 3});
  EXPECT_EQ(found(tier, 10, 2), 0);
}

TEST(HostTier, FillsGapsOnly) {
  HostTier tier(10);
  tier.store({10, 0, 1});
  tier.store({10, 2, 1});
  tier.store({10, 0, 4});
  EXPECT_EQ(tier.stored(), 4);
  EXPECT_EQ(found(tier, 10, 5), 4);
}

TEST(HostTier, ConservesBlocks) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed, "tier");
    const auto size = 1 + static_cast<std::int64_t>(random.below(20));
    HostTier tier(size);
    std::vector<PrefixCache::Held> held;
    for (int i = 0; i < 300; ++i) {
      const Stretch s{2 + random.below(4), static_cast<std::int64_t>(random.below(6)),
                      1 + static_cast<std::int64_t>(random.below(8))};
      std::vector<PrefixCache::Hit> hits;
      const std::uint64_t what = random.below(4);
      if (what < 2) tier.store(s);
      if (what == 2) tier.find(s, hits);
      if (what == 2 && held.empty()) {
        tier.hold(hits, held);
      } else if (what == 2) {
        tier.touch(hits);
      }
      if (what == 3) tier.let_go(held);
      ASSERT_EQ(tier.stored(), tier.resident() + tier.evicted());
      ASSERT_LE(tier.resident(), size);
      ASSERT_GE(tier.evicted(), 0);
    }
  }
}

std::unique_ptr<KvAllocator> paged(std::int64_t blocks, std::int64_t host_blocks) {
  KvAllocatorOptions o;
  o.block_size = 4;
  o.capacity_tokens = blocks * o.block_size;
  o.kv_bytes_per_token = 8;
  o.enable_prefix_caching = true;
  o.host_blocks = host_blocks;
  for (const KvAllocatorEntry& entry : kv_allocators())
    if (entry.name == "paged") return entry.make(o);
  return nullptr;
}

// 12 tokens.
KvDemand prompt(std::uint32_t request, std::span<const ContentSegment> content) {
  KvDemand d;
  d.prompt_tokens = d.final_tokens = 12;
  d.content = content;
  d.request = RequestId{request};
  return d;
}

// A prompt runs and ends.
void serve(KvAllocator& kv, const KvDemand& d) {
  const SequenceId id{0};
  kv.open(id, d, kv.cached_prefix(d), d.prompt_tokens);
  kv.store(id, d.prompt_tokens);
  kv.close(id, false);
}

TEST(Paged, WhatThePoolEvictsIsOnTheHost) {
  const std::vector<ContentSegment> shared{{7, 12}};
  const KvDemand a = prompt(1, shared), b = prompt(2, {});
  const auto kv = paged(3, 8);
  serve(*kv, a);
  EXPECT_EQ(kv->cached_prefix(a), 8);   // the last block is computed again
  EXPECT_EQ(kv->host_prefix(a, 8), 4);  // unless the host has it
  serve(*kv, b);                        // takes the whole pool
  EXPECT_EQ(kv->cached_prefix(a), 0);
  EXPECT_EQ(kv->host_prefix(a, 0), 12);
  EXPECT_EQ(kv->host_tier().stored, 6);  // of both: the engine does not know who will ask
  kv->open(SequenceId{0}, a, 0, 12);
  kv->begin_load(SequenceId{0}, 12);
  EXPECT_EQ(kv->usage().tokens, 0);  // blocks are held, nothing is in them
  EXPECT_EQ(kv->usage().reserved, 12);
  EXPECT_EQ(kv->cached_prefix(a), 0);  // nobody finds them before they are there
  kv->end_load(SequenceId{0});
  kv->store(SequenceId{0}, 12);
  EXPECT_EQ(kv->usage().tokens, 12);
  EXPECT_EQ(kv->cached_prefix(a), 8);
  kv->close(SequenceId{0}, false);
  EXPECT_EQ(kv->host_tier().stored, 6);
  EXPECT_EQ(kv->host_tier().loaded, 3);
  EXPECT_EQ(kv->host_tier().resident, 6);
}

TEST(Paged, ASmallTierForgets) {
  const std::vector<ContentSegment> shared{{7, 12}};
  const KvDemand a = prompt(1, shared), b = prompt(2, {});
  const auto kv = paged(3, 3);
  serve(*kv, a);
  serve(*kv, b);
  EXPECT_EQ(kv->host_prefix(a, 0), 0);
  EXPECT_EQ(kv->host_tier().evicted, 3);
}

TEST(Paged, WhatARequestFindsOnTheHostIsUsedThere) {
  const std::vector<ContentSegment> first{{7, 12}}, second{{8, 12}}, third{{9, 12}};
  const KvDemand a = prompt(1, first), b = prompt(2, second), c = prompt(3, third);
  const auto kv = paged(3, 6);
  for (const KvDemand& d : {a, b, a, c}) serve(*kv, d);  // c takes the place of b, which was unused longest
  EXPECT_EQ(kv->host_prefix(a, 0), 12);
  EXPECT_EQ(kv->host_prefix(b, 0), 0);
  EXPECT_EQ(kv->host_prefix(c, 0), 12);
}

TEST(Paged, WhatWasLoadedCanBeDroppedFromTheHost) {
  const std::vector<ContentSegment> first{{7, 12}}, second{{8, 12}};
  const KvDemand a = prompt(1, first), b = prompt(2, second);
  const auto kv = paged(3, 3);
  serve(*kv, a);
  kv->open(SequenceId{0}, a, 0, 12);
  kv->begin_load(SequenceId{0}, 12);
  kv->end_load(SequenceId{0});
  kv->store(SequenceId{0}, 12);
  kv->close(SequenceId{0}, false);
  serve(*kv, b);
  EXPECT_EQ(kv->host_prefix(b, 0), 12);
}

}  // namespace
}  // namespace headroom
