// Contiguous reservations, address by address, and the growing cache.
#include <gtest/gtest.h>

#include <memory>

#include "sim/memory/address_space.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

TEST(AddressSpace, FirstFitAndBestFitDiffer) {
  for (const FitPolicy policy : {FitPolicy::kFirst, FitPolicy::kBest}) {
    AddressSpace s(100, policy);
    const std::int64_t a = *s.allocate(30), b = *s.allocate(10), c = *s.allocate(12), d = *s.allocate(10);
    s.free(a, 30);
    s.free(c, 12);  // holes: [0,30), [40,52), [62,100)
    EXPECT_EQ(*s.allocate(11), policy == FitPolicy::kFirst ? 0 : 40);
    (void)b;
    (void)d;
  }
}

TEST(AddressSpace, ExternalFragmentationIsReal) {
  AddressSpace s(10, FitPolicy::kFirst);
  std::int64_t at[5];
  for (std::int64_t& a : at) a = *s.allocate(2);
  s.free(at[0], 2);
  s.free(at[2], 2);
  s.free(at[4], 2);
  EXPECT_EQ(s.free_slots(), 6);
  EXPECT_EQ(s.largest_hole(), 2);
  EXPECT_FALSE(s.has_room(3));
  s.free(at[1], 2);  // coalesces with both neighbours
  EXPECT_EQ(s.largest_hole(), 6);
}

TEST(AddressSpace, BuddyRoundsUpSplitsAndMerges) {
  AddressSpace s(16, FitPolicy::kBuddy);
  const std::int64_t a = *s.allocate(3);  // takes 4
  EXPECT_EQ(s.free_slots(), 12);
  EXPECT_TRUE(s.has_room(8));
  EXPECT_FALSE(s.has_room(9));
  const std::int64_t b = *s.allocate(4);
  EXPECT_EQ(b, a ^ 4) << "its buddy";
  s.free(a, 3);
  EXPECT_FALSE(s.has_room(16));
  s.free(b, 4);
  EXPECT_TRUE(s.has_room(16));
}

TEST(AddressSpace, BuddyHasASlotThatIsNoPowersPart) {
  AddressSpace s(5, FitPolicy::kBuddy);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(s.allocate(1)) << i;
  EXPECT_FALSE(s.has_room(1));
}

TEST(AddressSpace, RandomUseAgainstAMap) {
  for (const FitPolicy policy : {FitPolicy::kFirst, FitPolicy::kBest, FitPolicy::kBuddy}) {
    AddressSpace s(1000, policy);
    Random random(4, "addresses");
    std::vector<std::pair<std::int64_t, std::int64_t>> live;
    std::vector<bool> taken(1000);
    for (int i = 0; i < 5000; ++i) {
      if (live.empty() || random.uniform() < 0.55) {
        const auto n = static_cast<std::int64_t>(1 + random.below(90));
        const bool room = s.has_room(n);
        const auto at = s.allocate(n);
        ASSERT_EQ(at.has_value(), room);
        if (!at) continue;
        for (std::int64_t k = *at; k < *at + n; ++k) {
          ASSERT_FALSE(taken[static_cast<std::size_t>(k)]) << "two owners";
          taken[static_cast<std::size_t>(k)] = true;
        }
        live.emplace_back(*at, n);
      } else {
        const std::size_t which = random.below(live.size());
        const auto [at, n] = live[which];
        s.free(at, n);
        for (std::int64_t k = at; k < at + n; ++k) taken[static_cast<std::size_t>(k)] = false;
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
      }
    }
    for (const auto& [at, n] : live) s.free(at, n);
    EXPECT_EQ(s.free_slots(), 1000);
  }
}

std::unique_ptr<KvAllocator> make(const char* name, std::int64_t slots, FitPolicy fit, std::int64_t layers = 2) {
  KvAllocatorOptions o;
  o.capacity_tokens = slots;
  o.kv_bytes_per_token = 65'536;  // tensors far above the allocator's 512-byte grain
  o.fit = fit;
  o.num_layers = layers;
  for (const KvAllocatorEntry& entry : kv_allocators())
    if (entry.name == name) return entry.make(o);
  return nullptr;
}

KvDemand demand() {
  KvDemand d;
  d.prompt_tokens = 10;
  d.final_tokens = 34;  // 25 output tokens, the last never stored
  d.max_tokens = 60;
  return d;
}

TEST(Contiguous, WhatEachReserves) {
  struct {
    const char* name;
    std::int64_t reserved, internal;
  } cases[] = {{"contiguous-max", 24, 26}, {"contiguous-pow2", 24, 42 - 34}, {"contiguous-exact", 24, 0}};
  for (const auto& c : cases) {
    const auto kv = make(c.name, 200, FitPolicy::kFirst);
    kv->open(SequenceId{0}, demand(), 0, 10);
    kv->store(SequenceId{0}, 10);
    const SlotUsage u = kv->usage();
    EXPECT_EQ(u.tokens, 10) << c.name;
    EXPECT_EQ(u.reserved, c.reserved) << c.name;
    EXPECT_EQ(u.internal, c.internal) << c.name;
    EXPECT_EQ(u.total(), 200) << c.name;
    kv->join(SequenceId{0});
    SlotSeconds ledger;
    kv->advance(24, Seconds{1}, Seconds{0}, ledger);
    EXPECT_EQ(kv->usage().tokens, 34) << c.name;
    EXPECT_EQ(kv->usage().reserved, 0) << c.name;
    EXPECT_NEAR(ledger.tokens, 24 * 10 + 24 * 25 / 2.0, 1e-9) << c.name;
    kv->leave(SequenceId{0});
    kv->close(SequenceId{0}, false);
    EXPECT_EQ(kv->usage().empty, 200) << c.name;
  }
}

// Samples that advance together: a range for each, in one hole or in several.
TEST(Contiguous, EverySampleNeedsAHoleOfItsOwn) {
  const auto kv = make("contiguous-exact", 120, FitPolicy::kFirst);
  KvDemand three = demand(), small = demand();
  three.width = 3;
  small.final_tokens = 20;
  EXPECT_TRUE(kv->can_open(three, 0, 10, 0));  // 3 x 34 of 120
  kv->open(SequenceId{0}, demand(), 0, 10);
  kv->open(SequenceId{1}, small, 0, 10);
  three.width = 2;
  EXPECT_FALSE(kv->can_open(three, 0, 10, 0)) << "66 slots are free, two ranges take 68";
  kv->close(SequenceId{0}, false);
  EXPECT_TRUE(kv->can_open(three, 0, 10, 0)) << "one before the small one, one behind it";
  EXPECT_TRUE(kv->can_open(three, 0, 10, 100 - 68));
  EXPECT_FALSE(kv->can_open(three, 0, 10, 100 - 67));
  three.width = 3;
  EXPECT_FALSE(kv->can_open(three, 0, 10, 0)) << "66 behind the small one hold but one";
}

TEST(Contiguous, BuddyRoundingBelongsToNobody) {
  const auto kv = make("contiguous-exact", 128, FitPolicy::kBuddy);
  kv->open(SequenceId{0}, demand(), 0, 10);  // 34 slots in a range of 64
  EXPECT_EQ(kv->usage().empty, 128 - 34);
  EXPECT_EQ(kv->usage().internal, 0);
  EXPECT_EQ(kv->available(), 64);
}

TEST(Dynamic, RowsGrowTogetherAndDieTogether) {
  const auto kv = make("dynamic", 100, FitPolicy::kFirst);
  KvDemand d = demand();
  d.padding = 5;
  for (std::uint32_t i = 0; i < 3; ++i) {
    kv->open(SequenceId{i}, d, 0, 10);
    kv->store(SequenceId{i}, 10);
  }
  EXPECT_EQ(kv->usage().tokens, 30);
  EXPECT_EQ(kv->usage().padding, 15);
  for (std::uint32_t i = 0; i < 3; ++i) kv->join(SequenceId{i});
  const std::int64_t steps = kv->steps_within(1000, 0);
  EXPECT_GE(steps, 10);  // 45 slots now, 3 more a step, and one layer's K (a quarter) twice for a
  EXPECT_LE(steps, 12);  // moment: 1.25 x 3 x (15 + n) <= 100 until n = 11
  SlotSeconds ledger;
  kv->advance(steps, Seconds{1}, Seconds{0}, ledger);
  EXPECT_EQ(kv->steps_within(1, 0), 0);
  EXPECT_EQ(kv->usage().total(), 100);
}

TEST(Dynamic, ASequenceGainsATokenAStepWhileItDecodesAndNoneBeforeOrAfter) {
  const auto kv = make("dynamic", 100, FitPolicy::kFirst);
  kv->open(SequenceId{0}, demand(), 0, 10);
  EXPECT_EQ(kv->stored(SequenceId{0}), 0) << "has slots, nothing is computed";
  kv->store(SequenceId{0}, 10);
  EXPECT_EQ(kv->stored(SequenceId{0}), 10);
  kv->join(SequenceId{0});
  EXPECT_EQ(kv->stored(SequenceId{0}), 10);
  SlotSeconds ledger;
  kv->advance(3, Seconds{1}, Seconds{0}, ledger);
  EXPECT_EQ(kv->stored(SequenceId{0}), 13);
  kv->leave(SequenceId{0});
  EXPECT_EQ(kv->stored(SequenceId{0}), 13);
}

// The caching allocator puts tensors of up to 1 MiB into segments of 2 MiB. A model of one layer has two, K and V.
TEST(Dynamic, TheTwoTensorsOfALayerShareASegment) {
  const auto kv = make("dynamic", 100, FitPolicy::kFirst, 1);
  kv->open(SequenceId{0}, demand(), 0, 10);
  kv->store(SequenceId{0}, 10);
  kv->join(SequenceId{0});
  EXPECT_EQ(kv->fragmentation().count(), 2 * kMiB - 10 * 65'536);
}

}  // namespace
}  // namespace headroom
