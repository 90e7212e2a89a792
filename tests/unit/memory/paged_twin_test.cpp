// The paged allocator against a plain model that holds every block of every sequence in standard containers and steps
// one token of one sequence at a time, literally by SEMANTICS 2.2.4. Random operations, every observable compared.
#include <gtest/gtest.h>

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "sim/memory/kv_allocator.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

class Plain {
 public:
  Plain(std::int64_t blocks, std::int64_t block_size, bool caching) : b_(block_size), caching_(caching) {
    blocks_.resize(static_cast<std::size_t>(blocks));
    for (std::size_t i = 0; i < blocks_.size(); ++i) queue_.push_back(i);
  }

  struct Sequence {
    KvDemand demand;
    std::vector<std::size_t> table;
    std::int64_t stored = 0, registered = 0;
    bool decoding = false, retired = false;
    std::int64_t position = 0;  // slots used, pads and a retired row's growth included
  };

  std::int64_t available() const { return static_cast<std::int64_t>(queue_.size()); }

  std::int64_t cached_prefix(const KvDemand& d) const {
    if (!caching_) return 0;
    std::int64_t n = 0;
    while ((n + 1) * b_ <= d.prompt_tokens - 1 && find(key(d, n))) ++n;
    return n * b_;
  }
  bool can_open(const KvDemand& d, std::int64_t cached, std::int64_t upto, std::int64_t keep) const {
    std::int64_t need = ceil_div(d.padding + upto, b_) - cached / b_ + keep;
    for (std::int64_t i = 0; i < cached / b_; ++i) need += blocks_[*find(key(d, i))].refs == 0;
    return need <= available();
  }
  void open(std::size_t id, const KvDemand& d, std::int64_t cached, std::int64_t upto) {
    Sequence s;
    s.demand = d;
    for (std::int64_t i = 0; i < cached / b_; ++i) {
      const std::size_t block = *find(key(d, i));
      if (blocks_[block].refs++ == 0) queue_.remove(block);
      s.table.push_back(block);
    }
    s.stored = cached;
    s.registered = cached / b_;
    s.position = d.padding + cached;
    grow(s, d.padding + upto);
    sequences[id] = s;
  }
  void extend(std::size_t id, std::int64_t upto) { grow(sequences[id], sequences[id].demand.padding + upto); }
  void store(std::size_t id, std::int64_t upto) {
    Sequence& s = sequences[id];
    s.stored = upto;
    s.position = s.demand.padding + upto;
    enter(s, std::min(upto, shareable(s.demand)) / b_);
  }
  void step() {  // one step of everyone who decodes
    for (auto& [id, s] : sequences) {
      if (!s.decoding) continue;
      grow(s, s.position + 1);
      ++s.position;
      if (!s.retired) ++s.stored;
    }
  }
  std::int64_t need_for_step() const {
    std::int64_t need = 0;
    for (const auto& [id, s] : sequences)
      if (s.decoding) need += s.position == static_cast<std::int64_t>(s.table.size()) * b_;
    return need;
  }
  void leave(std::size_t id) {
    Sequence& s = sequences[id];
    if (s.decoding) enter(s, std::min(s.stored, shareable(s.demand)) / b_);
    s.decoding = false;
  }
  void close(std::size_t id, bool returns) {
    Sequence& s = sequences[id];
    const std::int64_t full = s.stored / b_;
    if (caching_ && returns) enter(s, full);
    for (std::int64_t i = s.registered; caching_ && i < full; ++i)
      blocks_[s.table[static_cast<std::size_t>(i)]].key = "nobody's";
    for (auto block = s.table.rbegin(); block != s.table.rend(); ++block)
      if (--blocks_[*block].refs == 0) queue_.push_back(*block);
    sequences.erase(id);
  }
  SlotUsage usage() const {
    SlotUsage u;
    std::map<std::size_t, std::int64_t> stored;  // per block, shared ones once
    std::map<std::size_t, std::int64_t> held;
    for (const auto& [id, s] : sequences) {
      const std::int64_t slots = static_cast<std::int64_t>(s.table.size()) * b_;
      u.padding += s.demand.padding;
      u.internal += std::max<std::int64_t>(0, slots - (s.demand.padding + s.demand.final_tokens));
      for (std::size_t i = 0; i < s.table.size(); ++i) {
        const std::int64_t first = static_cast<std::int64_t>(i) * b_ - s.demand.padding;
        std::int64_t tokens = 0;
        for (std::int64_t t = std::max<std::int64_t>(0, first); t < first + b_; ++t) tokens += t < s.stored;
        stored[s.table[i]] = std::max(stored[s.table[i]], tokens);
        held[s.table[i]] = b_;
      }
    }
    for (const auto& [block, tokens] : stored) u.tokens += tokens;
    u.reserved = static_cast<std::int64_t>(held.size()) * b_ - u.tokens - u.padding - u.internal;
    for (const std::size_t block : queue_) u.cached += blocks_[block].key.empty() ? 0 : b_;
    u.empty = available() * b_ - u.cached;
    return u;
  }

  std::map<std::size_t, Sequence> sequences;

 private:
  struct Block {
    int refs = 0;
    std::string key;
  };
  static std::int64_t shareable(const KvDemand& d) {
    if (d.output_content != 0) return 1 << 30;
    std::int64_t n = 0;
    for (const ContentSegment& s : d.content) n += s.tokens;
    return n;
  }
  // Everything up to the end of block n, spelt out.
  std::string key(const KvDemand& d, std::int64_t n) const {
    std::string text;
    std::int64_t left = (n + 1) * b_;
    for (const ContentSegment& s : d.content) {
      const std::int64_t part = std::min(left, s.tokens);
      if (part > 0) text += std::to_string(s.id) + "x" + std::to_string(part) + " ";
      left -= part;
    }
    if (left > 0) text += "own" + std::to_string(static_cast<std::uint32_t>(d.request)) + "x" + std::to_string(left);
    return text;
  }
  std::optional<std::size_t> find(const std::string& k) const {
    const auto it = index_.find(k);
    return it == index_.end() || it->second.empty() ? std::nullopt : std::optional(it->second.front());
  }
  void enter(Sequence& s, std::int64_t upto) {
    if (!caching_) return;
    for (; s.registered < upto; ++s.registered) {
      const std::size_t block = s.table[static_cast<std::size_t>(s.registered)];
      blocks_[block].key = key(s.demand, s.registered);
      index_[blocks_[block].key].push_back(block);
    }
  }
  void grow(Sequence& s, std::int64_t slots) {
    while (static_cast<std::int64_t>(s.table.size()) * b_ < slots) {
      const std::size_t block = queue_.front();
      queue_.pop_front();
      Block& taken = blocks_[block];
      if (!taken.key.empty()) {
        if (const auto it = index_.find(taken.key); it != index_.end()) it->second.remove(block);
        taken.key.clear();
      }
      taken.refs = 1;
      s.table.push_back(block);
    }
  }

  std::int64_t b_;
  bool caching_;
  std::vector<Block> blocks_;
  std::list<std::size_t> queue_;
  std::map<std::string, std::list<std::size_t>> index_;
};

std::unique_ptr<KvAllocator> paged(std::int64_t blocks, std::int64_t block_size, bool caching, std::int64_t cpu = 0) {
  KvAllocatorOptions o;
  o.capacity_tokens = blocks * block_size;
  o.block_size = block_size;
  o.kv_bytes_per_token = 8;
  o.enable_prefix_caching = caching;
  o.cpu_blocks = cpu;
  for (const KvAllocatorEntry& entry : kv_allocators())
    if (entry.name == "paged") return entry.make(o);
  return nullptr;
}

void same(const SlotUsage& a, const SlotUsage& b) {
  ASSERT_EQ(a.tokens, b.tokens);
  ASSERT_EQ(a.internal, b.internal);
  ASSERT_EQ(a.padding, b.padding);
  ASSERT_EQ(a.reserved, b.reserved);
  ASSERT_EQ(a.cached, b.cached);
  ASSERT_EQ(a.empty, b.empty);
}

class Twins {
 public:
  Twins(std::uint64_t seed, bool caching)
      : random_(seed, "twins"),
        b_(1 + static_cast<std::int64_t>(random_.below(9))),
        blocks_(8 + static_cast<std::int64_t>(random_.below(60))),
        fast_(paged(blocks_, b_, caching)),
        plain_(blocks_, b_, caching) {
    // Prompts that share beginnings: three families of segments.
    for (std::uint64_t family = 0; family < 3; ++family)
      for (std::uint64_t i = 0; i < 4; ++i)
        segments_.push_back(
            {1 + family * 10 + (i < 2 ? i : i + random_.below(2)), 1 + static_cast<std::int64_t>(random_.below(20))});
  }

  void run(int operations) {
    for (int i = 0; i < operations && !::testing::Test::HasFatalFailure(); ++i) {
      const std::uint64_t what = random_.below(10);
      if (what < 3)
        open();
      else if (what < 5)
        extend();
      else if (what < 8)
        advance();
      else if (what == 8)
        retire();
      else
        close();
      compare();
    }
    while (!plain_.sequences.empty()) close_one(plain_.sequences.begin()->first, false);
    const SlotUsage u = fast_->usage();
    ASSERT_EQ(u.tokens + u.reserved + u.internal + u.padding, 0);
  }

 private:
  void open() {
    KvDemand d;
    const std::size_t family = 4 * random_.below(3);
    d.content = std::span(segments_).subspan(family, random_.below(5));
    std::int64_t shared = 0;
    for (const ContentSegment& s : d.content) shared += s.tokens;
    d.prompt_tokens = shared + 1 + static_cast<std::int64_t>(random_.below(15));
    d.final_tokens = d.prompt_tokens + static_cast<std::int64_t>(random_.below(40));
    d.request = RequestId{next_request_++};
    if (!returning_.empty() && random_.uniform() < 0.7) {
      d = returning_.front();
      returning_.pop_front();
    }
    const std::int64_t cached = fast_->cached_prefix(d);
    ASSERT_EQ(cached, plain_.cached_prefix(d));
    const std::int64_t upto = std::min(d.prompt_tokens, cached + 1 + static_cast<std::int64_t>(random_.below(30)));
    const auto keep = static_cast<std::int64_t>(random_.below(3));
    const bool can = fast_->can_open(d, cached, upto, keep);
    ASSERT_EQ(can, plain_.can_open(d, cached, upto, keep));
    if (!can) return;
    std::size_t id = 0;
    while (plain_.sequences.count(id) != 0) ++id;
    fast_->open(sequence(id), d, cached, upto);
    plain_.open(id, d, cached, upto);
    fast_->store(sequence(id), upto);
    plain_.store(id, upto);
    if (upto == d.prompt_tokens) join(id);
  }
  void extend() {
    for (auto& [id, s] : plain_.sequences) {
      if (s.decoding || s.stored >= s.demand.prompt_tokens) continue;
      const std::int64_t upto =
          std::min(s.demand.prompt_tokens, s.stored + 1 + static_cast<std::int64_t>(random_.below(20)));
      if (fast_->units_to_extend(sequence(id), upto) > fast_->available()) continue;
      fast_->extend(sequence(id), upto);
      plain_.extend(id, upto);
      fast_->store(sequence(id), upto);
      plain_.store(id, upto);
      if (upto == s.demand.prompt_tokens) join(id);
      return;
    }
  }
  void join(std::size_t id) {
    if (plain_.sequences[id].demand.final_tokens <= plain_.sequences[id].stored) return;
    fast_->join(sequence(id));
    plain_.sequences[id].decoding = true;
  }
  void advance() {
    std::int64_t most = 1 + static_cast<std::int64_t>(random_.below(40));
    bool anyone = false;
    for (const auto& [id, s] : plain_.sequences) {
      if (!s.decoding) continue;
      anyone = true;
      if (!s.retired) most = std::min(most, s.demand.final_tokens - s.stored);
    }
    if (!anyone || most < 1) return;
    ASSERT_EQ(fast_->units_for_next_step(), plain_.need_for_step());
    const std::int64_t steps = fast_->steps_within(most, 0);
    if (random_.uniform() < 0.3 && steps > 0) fast_->take_for_next_step();
    SlotSeconds fast, plain;
    if (steps > 0) fast_->advance(steps, Seconds{0.5}, Seconds{0.01}, fast);
    for (std::int64_t i = 0; i < steps; ++i) {
      plain_.step();
      plain.add(plain_.usage(), Seconds{0.5 + 0.01 * static_cast<double>(i)});
    }
    ASSERT_NEAR(fast.tokens, plain.tokens, 1e-6);
    ASSERT_NEAR(fast.internal, plain.internal, 1e-6);
    ASSERT_NEAR(fast.cached, plain.cached, 1e-6);
    ASSERT_NEAR(fast.empty, plain.empty, 1e-6);
    if (steps < most) {
      ASSERT_GT(plain_.need_for_step(), plain_.available()) << "one step more would have fitted";
    }
  }
  void retire() {
    for (auto& [id, s] : plain_.sequences)
      if (s.decoding && !s.retired && s.stored == s.demand.final_tokens) {
        fast_->retire(sequence(id));
        s.retired = true;
        return;
      }
  }
  void close() {
    if (plain_.sequences.empty()) return;
    auto it = plain_.sequences.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random_.below(plain_.sequences.size())));
    close_one(it->first, random_.uniform() < 0.4);
  }
  void close_one(std::size_t id, bool returns) {
    const Plain::Sequence s = plain_.sequences[id];
    if (s.retired) returns = false;
    if (s.decoding) fast_->leave(sequence(id));
    plain_.leave(id);
    fast_->close(sequence(id), returns);
    plain_.close(id, returns);
    if (!returns) return;
    KvDemand again = s.demand;
    again.prompt_tokens = std::max(s.stored, s.demand.prompt_tokens);
    returning_.push_back(again);
  }
  void compare() {
    if (::testing::Test::HasFatalFailure()) return;
    ASSERT_EQ(fast_->available(), plain_.available());
    same(fast_->usage(), plain_.usage());
    ASSERT_EQ(fast_->usage().total(), fast_->capacity());
    for (const auto& [id, s] : plain_.sequences) ASSERT_EQ(fast_->stored(sequence(id)), s.stored);
  }
  static SequenceId sequence(std::size_t id) { return SequenceId{static_cast<std::uint32_t>(id)}; }

  Random random_;
  std::int64_t b_, blocks_;
  std::unique_ptr<KvAllocator> fast_;
  Plain plain_;
  std::vector<ContentSegment> segments_;
  std::deque<KvDemand> returning_;
  std::uint32_t next_request_ = 1;
};

TEST(Paged, TwinWithoutCaching) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    Twins(seed, false).run(300);
    if (HasFatalFailure()) return;
  }
}

TEST(Paged, TwinWithCaching) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    Twins(seed, true).run(300);
    if (HasFatalFailure()) return;
  }
}

KvDemand demand(std::int64_t prompt, std::int64_t final_tokens, std::int64_t width = 1) {
  KvDemand d;
  d.prompt_tokens = prompt;
  d.final_tokens = final_tokens;
  d.max_tokens = 100;
  d.width = width;
  return d;
}

TEST(Paged, LastFreeBlockIsHadAndNoMore) {
  const auto kv = paged(3, 4, false);
  EXPECT_TRUE(kv->can_open(demand(12, 12), 0, 12, 0));
  EXPECT_FALSE(kv->can_open(demand(13, 13), 0, 13, 0));
  EXPECT_FALSE(kv->can_open(demand(12, 12), 0, 12, 1));
  kv->open(SequenceId{0}, demand(12, 20), 0, 12);
  kv->store(SequenceId{0}, 12);
  kv->join(SequenceId{0});
  EXPECT_EQ(kv->units_for_next_step(), 1);
  EXPECT_EQ(kv->steps_within(5, 0), 0);
}

TEST(Paged, PeakIsTheMostBlocksEverHeld) {
  const auto kv = paged(8, 4, false);
  EXPECT_EQ(kv->peak().count(), 0);
  kv->open(SequenceId{0}, demand(12, 12), 0, 12);
  kv->close(SequenceId{0}, false);
  kv->open(SequenceId{0}, demand(4, 4), 0, 4);
  EXPECT_EQ(kv->peak().count(), 3 * 4 * 8) << "slots of eight bytes; now it is a third";
}

TEST(Paged, SamplesShareThePromptUntilTheyWrite) {
  const auto kv = paged(20, 4, false);
  kv->open(SequenceId{0}, demand(10, 16, 3), 0, 10);  // two full blocks and half a third
  kv->store(SequenceId{0}, 10);
  EXPECT_EQ(kv->available(), 17);
  EXPECT_EQ(kv->usage().tokens, 10);
  kv->join(SequenceId{0});
  EXPECT_EQ(kv->block_copies_for_next_step(), 2);  // the first sample keeps the block, the others copy it
  EXPECT_EQ(kv->units_for_next_step(), 2);
  SlotSeconds ledger;
  kv->advance(1, Seconds{1}, Seconds{0}, ledger);
  EXPECT_EQ(kv->available(), 15);
  EXPECT_EQ(kv->usage().tokens, 8 + 3 * 3);
  EXPECT_EQ(kv->block_copies_for_next_step(), 0);
  kv->advance(2, Seconds{1}, Seconds{0}, ledger);  // 11, 12, 13: each needs a new block for the last
  EXPECT_EQ(kv->available(), 12);
  EXPECT_EQ(kv->usage().tokens, 8 + 3 * 5);
  kv->leave(SequenceId{0});
  kv->close(SequenceId{0}, false);
  EXPECT_EQ(kv->available(), 20);
  EXPECT_EQ(kv->usage().total(), kv->capacity());
}

TEST(Paged, SwappedBlocksComeBack) {
  const auto kv = paged(6, 4, false, 3);
  kv->open(SequenceId{0}, demand(10, 30), 0, 10);
  kv->store(SequenceId{0}, 10);
  kv->join(SequenceId{0});
  kv->leave(SequenceId{0});
  EXPECT_TRUE(kv->can_swap_out(SequenceId{0}));
  EXPECT_EQ(kv->swap_out(SequenceId{0}), 3);
  EXPECT_EQ(kv->available(), 6);
  EXPECT_EQ(kv->usage().tokens, 0);
  kv->open(SequenceId{1}, demand(4, 8), 0, 4);
  EXPECT_FALSE(kv->can_swap_out(SequenceId{1}));  // no host block is left
  EXPECT_TRUE(kv->can_swap_in(SequenceId{0}, 2));
  EXPECT_FALSE(kv->can_swap_in(SequenceId{0}, 3));
  EXPECT_EQ(kv->swap_in(SequenceId{0}), 3);
  EXPECT_EQ(kv->stored(SequenceId{0}), 10);
  EXPECT_EQ(kv->available(), 2);
}

TEST(Paged, ASwappedSequenceThatEndsGivesItsHostBlocksBack) {
  const auto kv = paged(6, 4, false, 3);
  for (int i = 0; i < 2; ++i) {
    kv->open(SequenceId{0}, demand(10, 30), 0, 10);
    kv->store(SequenceId{0}, 10);
    ASSERT_TRUE(kv->can_swap_out(SequenceId{0}));
    kv->swap_out(SequenceId{0});
    kv->close(SequenceId{0}, false);
    EXPECT_EQ(kv->available(), 6);
    EXPECT_EQ(kv->usage().empty, 24);
  }
}

}  // namespace
}  // namespace headroom
