// Paged KV: sequences hold whole blocks, taken one at a time as they grow (SEMANTICS 2.1.3, 2.2.3, 2.2.4).
//
// Without prefix caching blocks are interchangeable and only counted. With it full blocks can be found by content, and
// which block is taken next decides whose content is lost (PrefixCache).
//
// The decode group's needs are known by the step (GroupDemand), so a run of steps costs the same for one member as for
// a thousand. While a block has no content yet, one is as good as another. Blocks of output get theirs when the member
// leaves: nobody can ask for an output before it is complete. Only the ledger is kept step by step: what a block taken
// evicts, and so how much is cached, depends on the queue.
//
// The ledger follows SEMANTICS 3.3 with R_i the slots of the blocks held: what lies beyond a sequence's final length
// is internal, what it will still use is reserved. In total: reserved = held - tokens - padding - internal, so only
// the last needs care: it grows at the step in which a member takes its final block (tails_).
#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "sim/memory/group_demand.h"
#include "sim/memory/host_tier.h"
#include "sim/memory/kv_allocators.h"
#include "sim/memory/prefix_cache.h"

namespace headroom {
namespace {

class Paged final : public KvAllocator {
 public:
  explicit Paged(const KvAllocatorOptions& options)
      : b_(options.block_size),
        num_blocks_(options.capacity_tokens / options.block_size),
        bytes_per_block_(options.block_size * options.kv_bytes_per_token),
        free_(num_blocks_),
        cpu_free_(options.cpu_blocks),
        group_(b_) {
    if (options.enable_prefix_caching) cache_.emplace(num_blocks_);
    if (cache_ && options.host_blocks > 0) host_.emplace(options.host_blocks);
  }

  std::int64_t capacity() const override { return num_blocks_ * b_; }
  std::int64_t available() const override { return cache_ ? cache_->num_free() : free_; }
  std::int64_t unit_tokens() const override { return b_; }

  std::int64_t cached_prefix(const KvDemand& demand) const override {
    return cache_ ? find_hits(demand, (demand.prompt_tokens - 1) / b_) * b_ : 0;
  }

  bool can_open(const KvDemand& demand, std::int64_t cached, std::int64_t upto, std::int64_t keep_free) const override {
    const std::int64_t hit_blocks = cached / b_;
    std::int64_t need = ceil_div(demand.padding + upto, b_) - hit_blocks + keep_free;
    if (need > available()) return false;
    if (hit_blocks > 0) {
      find_hits(demand, hit_blocks);  // those nobody holds sit in the free queue and will leave it
      for (const PrefixCache::Hit& hit : hits_) need += cache_->held(hit) ? 0 : hit.blocks();
    }
    return need <= available();
  }

  bool ever_fits(const KvDemand& demand, std::int64_t upto) const override {
    const std::int64_t shared = upto > demand.prompt_tokens ? demand.prompt_tokens / b_ : 0;
    const std::int64_t blocks = shared + demand.width * (ceil_div(demand.padding + upto, b_) - shared);
    return (upto > demand.prompt_tokens ? blocks : ceil_div(demand.padding + upto, b_)) <= num_blocks_;
  }

  void open(SequenceId id, const KvDemand& demand, std::int64_t cached, std::int64_t upto) override {
    if (index_of(id) >= entries_.size()) entries_.resize(index_of(id) + 1);
    Entry& e = entries_[index_of(id)];
    std::vector<PrefixCache::Held> table = std::move(e.table);  // its room is used again
    table.clear();
    const std::uint32_t epoch = e.epoch;
    e = Entry{};
    e.epoch = epoch;
    e.table = std::move(table);
    e.padding = demand.padding;
    e.width = demand.width;
    e.final = demand.final_tokens;
    if (cache_) {
      query_tokens_ += demand.returns ? 0 : demand.prompt_tokens;
      hit_tokens_ += demand.returns ? 0 : cached;
      for (const ContentSegment& segment : demand.content) e.shareable += segment.tokens;
      if (demand.output_content != 0) e.shareable = std::numeric_limits<std::int64_t>::max();
      e.content = ContentRuns(demand, b_);
      if (cached > 0) hold_hits(e, demand, cached / b_);
      if (host_) touch_host(demand);
    }
    e.units = cached / b_;
    padding_ += e.padding;
    grow(e, demand.padding + upto);
    e.stored = cached;
  }

  std::int64_t units_to_extend(SequenceId id, std::int64_t upto) const override {
    const Entry& e = at(id);
    return std::max<std::int64_t>(0, ceil_div(e.padding + upto, b_) - e.units);
  }

  void extend(SequenceId id, std::int64_t upto) override {
    Entry& e = at(id);
    grow(e, e.padding + upto);
  }

  void store(SequenceId id, std::int64_t upto) override {
    Entry& e = at(id);
    set_stored(e, upto);
    if (cache_ && e.width == 1) enter_content(e, std::min(upto, e.shareable) / b_);
  }

  void close(SequenceId id, bool returns) override {
    Entry& e = at(id);
    if (e.swapped) {  // it left the pool and the ledger when it was swapped out
      cpu_free_ += e.units;
    } else {
      padding_ -= e.padding;
      give_back(e, returns);
    }
    e.units = 0;
  }

  void join(SequenceId id) override {
    Entry& e = at(id);
    e.grouped = true;
    e.joined = group_.clock();
    const std::int64_t position = e.padding + e.stored;
    if (e.width > 1 && !e.forked) {  // samples part ways: full blocks stay shared, each gets its own tail
      e.forked = true;
      e.shared = position / b_;
      const std::int64_t partial = position - e.shared * b_;
      if (partial > 0) {
        e.copy_on_write = true;
        cow_units_ += e.width - 1;
        cow_slots_ += (e.width - 1) * partial;
        cow_internal_ += (e.width - 1) * std::max<std::int64_t>(0, held_slots(e) - e.final_position());
      }
    }
    group_.add(member(e));
    live_ += e.width;
    if (held_slots(e) < e.final_position())
      tails_.push(Tail{group_.clock() + (e.final_position() - 1) / b_ * b_ - position, id, ++e.epoch,
                       e.width * (round_up(e.final_position(), b_) - e.final_position())});
  }

  void leave(SequenceId id) override {
    Entry& e = at(id);
    if (!e.grouped) return;
    const std::int64_t joined_position = e.padding + e.stored;
    const std::int64_t steps = group_.clock() - e.joined;
    if (e.copy_on_write) {
      const std::int64_t partial = joined_position - e.shared * b_;
      cow_units_ -= e.width - 1;
      cow_slots_ -= (e.width - 1) * partial;
      cow_internal_ -= (e.width - 1) * std::max<std::int64_t>(0, held_slots(e) - e.final_position());
      e.copy_on_write = false;
      e.forked = false;
      e.shared = 0;
    }
    const GroupDemand::Member m = member(e);
    group_.remove(m);
    if (e.retired) {
      group_.remove_retired(m);
    } else {
      live_ -= e.width;
    }
    ++e.epoch;
    e.grouped = false;
    // From here on the member's own numbers are explicit again; the totals already contain them.
    const std::int64_t position = joined_position + steps;
    const std::int64_t tail_units = ceil_div(std::max(position, joined_position + m.slack), b_);
    e.units = e.forked ? e.shared + e.width * (tail_units - e.shared) : tail_units;
    e.stored += e.retired ? e.retired_at : steps;
    if (cache_ && e.width == 1) enter_content(e, std::min(e.stored, e.shareable) / b_);
  }

  void retire(SequenceId id) override {
    Entry& e = at(id);
    group_.retire(member(e));
    live_ -= e.width;
    // stored stands still from now on, while the row's position grows with the clock.
    e.retired = true;
    e.retired_at = group_.clock() - e.joined;
  }

  std::int64_t units_for_next(SequenceId id) const override {
    const Entry& e = at(id);
    if (!e.grouped) return units_to_extend(id, e.stored + 1);
    const std::int64_t joined_position = e.padding + e.stored;
    const std::int64_t position = joined_position + group_.clock() - e.joined;
    const std::int64_t held = std::max(round_up(position, b_), e.per_sample_units() * b_);
    return (position == held ? e.width : 0) + (e.copy_on_write ? e.width - 1 : 0);
  }

  std::int64_t units_for_next_step() const override { return group_.in_step(0) + cow_units_ - prepaid_; }

  void take_for_next_step() override {
    const std::int64_t units = units_for_next_step();
    take_blocks(units);
    prepaid_ += units;
  }

  std::int64_t steps_within(std::int64_t max_steps, std::int64_t keep_free) const override {
    if (max_steps <= 0) return 0;
    return group_.steps_within(available() + prepaid_ - keep_free - cow_units_, max_steps);
  }

  void advance(std::int64_t steps, Seconds first, Seconds slope, SlotSeconds& ledger) override {
    tokens_ += cow_slots_;
    internal_ += cow_internal_;
    std::int64_t extra = cow_units_;
    if (cow_units_ > 0) forget_copies();
    for (std::int64_t i = 0; i < steps; ++i) {
      const std::int64_t units = group_.in_step(0) + std::exchange(extra, 0);
      if (const std::int64_t fresh = units - prepaid_; fresh > 0) take_blocks(fresh);
      prepaid_ = 0;
      tokens_ += live_;
      internal_ += group_.of_retired_in_next_step() * b_;
      while (!tails_.empty() && tails_.top().clock <= group_.clock()) {
        const Tail tail = tails_.top();
        tails_.pop();
        if (entries_[index_of(tail.id)].epoch == tail.epoch) internal_ += tail.slots;
      }
      group_.advance();
      ledger.add(usage(), Seconds{first.count() + static_cast<double>(i) * slope.count()});
    }
  }

  std::int64_t stored(SequenceId id) const override {
    const Entry& e = at(id);
    if (!e.grouped) return e.stored;
    return e.stored + (e.retired ? e.retired_at : group_.clock() - e.joined);
  }

  std::int64_t block_copies_for_next_step() const override { return cow_units_; }

  SlotUsage usage() const override {
    SlotUsage u;
    const std::int64_t cached = cache_ ? cache_->num_cached() : 0;
    u.tokens = tokens_;
    u.internal = internal_;
    u.padding = padding_;
    u.reserved = held_ * b_ - tokens_ - internal_ - padding_;
    u.cached = cached * b_;
    u.empty = (available() - cached) * b_;
    return u;
  }

  std::int64_t prefix_hit_tokens() const override { return hit_tokens_; }
  std::int64_t prefix_query_tokens() const override { return query_tokens_; }

  bool can_swap_out(SequenceId id) const override { return at(id).units <= cpu_free_; }
  std::int64_t swap_out(SequenceId id) override {
    Entry& e = at(id);
    give_back(e, false);
    padding_ -= e.padding;
    cpu_free_ -= e.units;
    e.swapped = true;
    return e.units;
  }
  bool can_swap_in(SequenceId id, std::int64_t keep_free) const override {
    return at(id).units + keep_free <= available();
  }
  std::int64_t swap_in(SequenceId id) override {
    Entry& e = at(id);
    cpu_free_ += e.units;
    padding_ += e.padding;
    e.swapped = false;
    take_blocks(e.units);
    if (cache_ && e.registered > 0) e.table.push_back({PrefixCache::kNoPiece, e.registered});  // came back without it
    tokens_ += stored_slots(e);
    internal_ += internal_slots(e);
    return e.units;
  }

  std::int64_t host_prefix(const KvDemand& demand, std::int64_t cached) const override {
    if (!host_) return 0;
    find_hits(demand, cached / b_);
    host_hits_.clear();
    return find_on_host(after_hits_, demand.prompt_tokens / b_ - cached / b_) * b_;
  }
  // The GPU's copies are found by content only when they are there: store() enters them.
  void begin_load(SequenceId id, std::int64_t tokens) override {
    host_hits_.clear();
    find_on_host(at(id).content, tokens / b_);
    host_->hold(host_hits_, at(id).from_host);
    loaded_ += tokens / b_;
  }
  void end_load(SequenceId id) override {
    if (host_) host_->let_go(at(id).from_host);
  }
  HostTierUse host_tier() const override {
    if (!host_) return {};
    return {host_->resident(), host_->stored(), host_->evicted(), loaded_};
  }

  Bytes peak() const override { return Bytes{peak_held_ * bytes_per_block_}; }

 private:
  struct Entry {
    std::int64_t padding = 0;
    std::int64_t stored = 0;  // of one sample; grouped: when it joined
    std::int64_t final = 0;
    std::int64_t width = 1;
    std::int64_t units = 0;       // blocks held in all; grouped: when it joined
    std::int64_t shared = 0;      // full blocks that forked samples have in common
    std::int64_t joined = 0;      // clock
    std::int64_t retired_at = 0;  // steps after joining
    std::int64_t shareable = 0;   // leading tokens whose content others may ask for
    std::int64_t registered = 0;  // leading blocks whose content has been entered
    std::uint32_t epoch = 0;
    bool grouped = false;
    bool retired = false;
    bool swapped = false;                      // its blocks are in host memory
    bool forked = false;                       // samples have tails of their own
    bool copy_on_write = false;                // they get them in the next step
    ContentRuns content;                       // stands behind the registered blocks
    std::vector<PrefixCache::Held> table;      // the registered blocks
    std::vector<PrefixCache::Held> from_host;  // blocks of the host tier being loaded
    std::int64_t final_position() const { return padding + final; }
    std::int64_t per_sample_units() const {
      return forked && !copy_on_write ? shared + (units - shared) / width : units;
    }
  };
  struct Tail {  // at `clock` a member takes its final block, `slots` of which are waste
    std::int64_t clock;
    SequenceId id;
    std::uint32_t epoch;
    std::int64_t slots;
    friend bool operator>(const Tail& a, const Tail& b) { return a.clock > b.clock; }
  };

  Entry& at(SequenceId id) { return entries_[index_of(id)]; }
  const Entry& at(SequenceId id) const { return entries_[index_of(id)]; }
  // As it joined the group.
  GroupDemand::Member member(const Entry& e) const {
    return {e.joined, e.width, e.per_sample_units() * b_ - (e.padding + e.stored)};
  }
  std::int64_t held_slots(const Entry& e) const { return e.per_sample_units() * b_; }

  // The first blocks of the demand's content that are in the cache, into hits_; how many. Asked several times for one
  // admission: the answer stands until the cache changes.
  std::int64_t find_hits(const KvDemand& demand, std::int64_t most) const {
    if (hits_version_ == cache_->version() && hits_request_ == demand.request && hits_prompt_ == demand.prompt_tokens &&
        (hits_most_ == most || num_hits_ == most))
      return num_hits_;
    hits_version_ = cache_->version();
    hits_request_ = demand.request;
    hits_prompt_ = demand.prompt_tokens;
    hits_most_ = most;
    hits_.clear();
    num_hits_ = 0;
    after_hits_ = ContentRuns(demand, b_);
    while (num_hits_ < most) {
      ContentRuns ahead = after_hits_;
      const Stretch wanted = ahead.next(most - num_hits_);
      const std::int64_t found = cache_->find(wanted, hits_);
      num_hits_ += found;
      if (found < wanted.blocks) {
        if (found > 0) after_hits_.next(found);
        break;
      }
      after_hits_ = ahead;
    }
    return num_hits_;
  }

  // Blocks that others hold are counted in the ledger already; those that nobody held come back to it.
  void hold_hits(Entry& e, const KvDemand& demand, std::int64_t blocks) {
    find_hits(demand, blocks);
    for (const PrefixCache::Hit& hit : hits_) {
      if (cache_->held(hit)) continue;
      note_held(hit.blocks());
      tokens_ += hit.blocks() * b_;
    }
    cache_->hold(hits_, e.table);
    e.content = after_hits_;
    e.registered = blocks;
  }

  // Up to `most` blocks from the cursor on that the host has, appended to host_hits_; how many.
  std::int64_t find_on_host(ContentRuns cursor, std::int64_t most) const {
    std::int64_t found = 0;
    while (found < most) {
      const Stretch wanted = cursor.next(most - found);
      const std::int64_t here = host_->find(wanted, host_hits_);
      found += here;
      if (here < wanted.blocks) break;
    }
    return found;
  }
  void touch_host(const KvDemand& demand) {
    host_hits_.clear();
    find_on_host(ContentRuns(demand, b_), demand.prompt_tokens / b_);
    host_->touch(host_hits_);
  }
  // The engine names every full block, also those that nobody will ask for.
  void keep_on_host(ContentRuns& cursor, std::int64_t blocks) {
    while (blocks > 0) {
      const Stretch stretch = cursor.next(blocks);
      host_->store(stretch);
      blocks -= stretch.blocks;
    }
  }

  void note_held(std::int64_t units) {
    held_ += units;
    peak_held_ = std::max(peak_held_, held_);
  }
  void take_blocks(std::int64_t units) {
    if (cache_) {
      cache_->take(units);
    } else {
      free_ -= units;
    }
    note_held(units);
  }
  void grow(Entry& e, std::int64_t slots) {
    const std::int64_t units = ceil_div(slots, b_);
    if (units <= e.units) return;
    internal_ -= internal_slots(e);
    take_blocks(units - e.units);
    e.units = units;
    internal_ += internal_slots(e);
  }

  // What one sequence outside the group adds to the totals.
  std::int64_t stored_slots(const Entry& e) const {
    if (!e.forked || e.copy_on_write) return e.stored;
    return e.shared * b_ + e.width * (e.stored - e.shared * b_);
  }
  std::int64_t internal_slots(const Entry& e) const {
    const std::int64_t samples = e.forked && !e.copy_on_write ? e.width : 1;
    return samples * std::max<std::int64_t>(0, held_slots(e) - e.final_position());
  }
  void set_stored(Entry& e, std::int64_t upto) {
    tokens_ -= stored_slots(e);
    e.stored = upto;
    tokens_ += stored_slots(e);
  }
  void forget_copies() {
    cow_units_ = cow_slots_ = cow_internal_ = 0;
    for (Entry& e : entries_) {
      if (!e.copy_on_write) continue;
      e.copy_on_write = false;  // the tail block becomes one of the samples' own
      e.units = e.shared + e.width * (e.units - e.shared);
    }
  }

  void enter_content(Entry& e, std::int64_t upto) {
    while (e.registered < upto) {
      const Stretch stretch = e.content.next(upto - e.registered);
      cache_->enter(stretch, e.table);
      if (host_) host_->store(stretch);
      e.registered += stretch.blocks;
    }
  }

  // Out of the ledger and back to the free queue, the last block first. What others hold too stays in the ledger.
  void give_back(Entry& e, bool returns) {
    tokens_ -= stored_slots(e);
    internal_ -= internal_slots(e);
    if (!cache_) {
      free_ += e.units;
      held_ -= e.units;
      return;
    }
    const std::int64_t full = e.width == 1 ? e.stored / b_ : e.registered;
    if (returns) enter_content(e, full);
    const std::int64_t lost = std::max<std::int64_t>(0, full - e.registered);
    if (host_) keep_on_host(e.content, lost);
    cache_->release_empty(e.units - e.registered - lost);
    cache_->release_lost(lost);
    held_ -= e.units - e.registered;
    for (auto held = e.table.rbegin(); held != e.table.rend(); ++held) {
      const std::int64_t freed = cache_->release(*held);
      held_ -= freed;
      tokens_ += (held->blocks - freed) * b_;
    }
    e.table.clear();
  }

  std::int64_t b_;
  std::int64_t num_blocks_;
  std::int64_t bytes_per_block_;
  std::optional<PrefixCache> cache_;                 // with prefix caching
  std::optional<HostTier> host_;                     // behind it
  std::int64_t loaded_ = 0;                          // blocks, from it
  mutable std::vector<PrefixCache::Hit> host_hits_;  // of the last lookup there
  std::int64_t free_;                                // blocks, without
  std::int64_t cpu_free_;
  mutable std::vector<PrefixCache::Hit> hits_;  // of the last lookup, see find_hits()
  mutable ContentRuns after_hits_;
  mutable std::uint64_t hits_version_ = ~std::uint64_t{0};
  mutable RequestId hits_request_{};
  mutable std::int64_t hits_prompt_ = 0;
  mutable std::int64_t hits_most_ = 0;
  mutable std::int64_t num_hits_ = 0;
  std::vector<Entry> entries_;
  std::int64_t prepaid_ = 0;  // of the next step's demand

  GroupDemand group_;
  std::int64_t live_ = 0;                                          // samples that gain a token per step
  std::int64_t cow_units_ = 0, cow_slots_ = 0, cow_internal_ = 0;  // copy-on-write due in the next step
  std::priority_queue<Tail, std::vector<Tail>, std::greater<>> tails_;

  std::int64_t held_ = 0;  // blocks referenced by sequences
  std::int64_t peak_held_ = 0;
  std::int64_t tokens_ = 0;
  std::int64_t internal_ = 0;
  std::int64_t padding_ = 0;
  std::int64_t hit_tokens_ = 0;
  std::int64_t query_tokens_ = 0;
};

}  // namespace

std::unique_ptr<KvAllocator> make_paged(const KvAllocatorOptions& options) {
  return std::make_unique<Paged>(options);
}

}  // namespace headroom
