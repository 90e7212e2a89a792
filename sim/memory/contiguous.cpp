// Contiguous KV: one range of addresses per sequence, reserved when it is opened and held until it is closed.
//
// How long the range is distinguishes the three (SEMANTICS 3.2, the variants of the PagedAttention paper):
//   contiguous-max    what the request may become at most
//   contiguous-pow2   prompt and the next power of two of the true output
//   contiguous-exact  the true length, an oracle
// Slots of the range that its owner will still use are reserved, those it will never use internal. What a buddy
// allocator rounds up belongs to nobody: it counts as empty, though it cannot be had (SEMANTICS 3.3, pitfall 10).
#include <algorithm>
#include <bit>
#include <vector>

#include "sim/memory/address_space.h"
#include "sim/memory/kv_allocators.h"

namespace headroom {
namespace {

enum class Reservation { kMax, kPow2, kExact };

class Contiguous final : public KvAllocator {
 public:
  Contiguous(const KvAllocatorOptions& options, Reservation reservation)
      : reservation_(reservation),
        bytes_per_token_(options.kv_bytes_per_token),
        space_(options.capacity_tokens, options.fit) {}

  std::int64_t capacity() const override { return space_.size(); }
  std::int64_t available() const override { return space_.free_slots(); }
  std::int64_t unit_tokens() const override { return 1; }
  std::int64_t cached_prefix(const KvDemand&) const override { return 0; }

  bool can_open(const KvDemand& demand, std::int64_t, std::int64_t, std::int64_t keep_free) const override {
    const std::int64_t length = range_of(demand);
    if (space_.free_slots() < demand.width * length + keep_free) return false;
    if (demand.width == 1) return space_.has_room(length);
    AddressSpace trial = space_;  // samples each need a hole of their own
    for (std::int64_t i = 0; i < demand.width; ++i)
      if (!trial.allocate(length)) return false;
    return true;
  }

  bool ever_fits(const KvDemand& demand, std::int64_t) const override {
    return demand.width * range_of(demand) <= capacity() && space_.ever_has_room(range_of(demand));
  }

  void open(SequenceId id, const KvDemand& demand, std::int64_t, std::int64_t) override {
    if (index_of(id) >= entries_.size()) entries_.resize(index_of(id) + 1);
    Entry& e = entries_[index_of(id)];
    e = Entry{};
    e.length = range_of(demand);
    e.padding = demand.padding;
    e.final = demand.final_tokens;
    e.width = demand.width;
    for (std::int64_t i = 0; i < e.width; ++i) e.addresses.push_back(*space_.allocate(e.length));
    held_ += e.width * e.length;
    peak_ = std::max(peak_, held_);
    padding_ += e.width * e.padding;
    internal_ += e.width * e.unused();
  }

  std::int64_t units_to_extend(SequenceId, std::int64_t) const override { return 0; }
  void extend(SequenceId, std::int64_t) override {}
  void store(SequenceId id, std::int64_t upto) override {
    Entry& e = at(id);
    tokens_ += e.width * (upto - e.stored);
    e.stored = upto;
  }

  void close(SequenceId id, bool) override {
    const Entry& e = at(id);
    tokens_ -= e.width * e.stored;
    padding_ -= e.width * e.padding;
    internal_ -= e.width * e.unused();
    held_ -= e.width * e.length;
    for (const std::int64_t address : e.addresses) space_.free(address, e.length);
  }

  void join(SequenceId id) override {
    Entry& e = at(id);
    e.joined = clock_;
    e.growing = true;
    live_ += e.width;
  }
  void leave(SequenceId id) override {
    Entry& e = at(id);
    if (!e.growing) return;
    settle(e);
    e.growing = false;
    live_ -= e.width;
  }
  void retire(SequenceId id) override { leave(id); }

  std::int64_t units_for_next(SequenceId) const override { return 0; }
  std::int64_t units_for_next_step() const override { return 0; }
  std::int64_t steps_within(std::int64_t max_steps, std::int64_t) const override {
    return max_steps;  // whoever is in has all it will need
  }

  void advance(std::int64_t steps, Seconds first, Seconds slope, SlotSeconds& ledger) override {
    // Tokens grow by `live_` each step; everything else but the reserved slots stands still.
    const auto n = static_cast<double>(steps);
    const double time = n * first.count() + n * (n - 1) / 2 * slope.count();
    // sum of (i+1) * (first + i slope), i = 0..n-1
    const double weighted = n * (n + 1) / 2 * first.count() + (n - 1) * n * (n + 1) / 3 * slope.count();
    const SlotUsage before = usage();
    ledger.add(before, Seconds{time});
    ledger.tokens += static_cast<double>(live_) * weighted;
    ledger.reserved -= static_cast<double>(live_) * weighted;
    tokens_ += live_ * steps;
    clock_ += steps;
  }

  std::int64_t stored(SequenceId id) const override {
    const Entry& e = at(id);
    return e.stored + (e.growing ? clock_ - e.joined : 0);
  }

  std::int64_t first_slot(SequenceId id) const override { return at(id).addresses.front(); }

  SlotUsage usage() const override {
    SlotUsage u;
    u.tokens = tokens_;
    u.internal = internal_;
    u.padding = padding_;
    u.reserved = held_ - tokens_ - internal_ - padding_;
    u.empty = capacity() - held_;
    return u;
  }

  Bytes peak() const override { return Bytes{peak_ * bytes_per_token_}; }

 private:
  struct Entry {
    std::int64_t length = 0;
    std::int64_t padding = 0;
    std::int64_t stored = 0;  // growing: when it joined
    std::int64_t final = 0;
    std::int64_t width = 1;
    std::int64_t joined = 0;
    bool growing = false;
    std::vector<std::int64_t> addresses;  // one per sample
    std::int64_t unused() const { return std::max<std::int64_t>(0, length - padding - final); }
  };
  Entry& at(SequenceId id) { return entries_[index_of(id)]; }
  const Entry& at(SequenceId id) const { return entries_[index_of(id)]; }
  void settle(Entry& e) {
    e.stored += clock_ - e.joined;
    e.joined = clock_;
  }

  std::int64_t range_of(const KvDemand& demand) const {
    switch (reservation_) {
      case Reservation::kMax:
        return demand.padding + demand.max_tokens;
      case Reservation::kPow2: {
        const std::int64_t output = demand.final_tokens - demand.prompt_tokens + 1;
        return demand.padding + demand.prompt_tokens +
               static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(output)));
      }
      case Reservation::kExact:
        return demand.padding + demand.final_tokens;
    }
    return 0;
  }

  Reservation reservation_;
  std::int64_t bytes_per_token_;
  AddressSpace space_;
  std::vector<Entry> entries_;
  std::int64_t clock_ = 0;
  std::int64_t live_ = 0;  // samples that gain a token per step
  std::int64_t held_ = 0, peak_ = 0, tokens_ = 0, internal_ = 0, padding_ = 0;
};

}  // namespace

std::unique_ptr<KvAllocator> make_contiguous_max(const KvAllocatorOptions& options) {
  return std::make_unique<Contiguous>(options, Reservation::kMax);
}
std::unique_ptr<KvAllocator> make_contiguous_pow2(const KvAllocatorOptions& options) {
  return std::make_unique<Contiguous>(options, Reservation::kPow2);
}
std::unique_ptr<KvAllocator> make_contiguous_exact(const KvAllocatorOptions& options) {
  return std::make_unique<Contiguous>(options, Reservation::kExact);
}

}  // namespace headroom
