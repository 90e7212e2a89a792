// Who holds which slots of the KV pool. A state machine without a clock: schedulers ask, engines let time pass.
//
// A slot has room for one token's KV in all layers. A sequence is opened once, gets slots as its tokens are computed,
// and is closed. Sequences that decode are joined to the decode group: the whole group gains one token per sequence
// and step, and is advanced many steps at once, at a cost that does not depend on how many sequences are in it.
//
// Invariants (tests name them by number):
//   1. usage(): tokens + reserved + internal + padding + cached + empty == capacity().
//   2. available() <= capacity in blocks; a block held by two sequences is counted once.
//   3. close() of every sequence brings usage() back to tokens == reserved == internal == padding == 0.
//   4. A failed call changes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "models/units.h"
#include "sim/workload/request.h"

namespace headroom {

// Index of a sequence among those known to one replica; reused after close().
enum class SequenceId : std::uint32_t {};
constexpr std::size_t index_of(SequenceId id) {
  return static_cast<std::size_t>(id);
}

// What a sequence will ask for. Engines do not know final_tokens; only oracle reservations and the ledger may use it.
struct KvDemand {
  std::int64_t prompt_tokens = 0;  // tokens to compute before the first output (after a preemption with
                                   // recompute: prompt and the output made so far)
  std::int64_t final_tokens = 0;   // tokens it will have stored when it ends
  std::int64_t max_tokens = 0;     // most it may ever store, by the engine's limit
  std::int64_t padding = 0;        // left pads, stored in front (static batches)
  std::int64_t width = 1;          // parallel samples: equal sequences that share the prompt
  RequestId request{};
  std::span<const ContentSegment> content;  // identity of the prompt's beginning; the rest is the request's own
  std::uint64_t output_content = 0;
  bool returns = false;  // after a preemption: not counted among the prefix cache's lookups
};

// Token slots by state (SEMANTICS 3.3). Shared blocks count once.
struct SlotUsage {
  std::int64_t tokens = 0;    // hold a token of a live sequence
  std::int64_t reserved = 0;  // will be used later by their holder
  std::int64_t internal = 0;  // held and never used
  std::int64_t padding = 0;   // hold a left pad
  std::int64_t cached = 0;    // unreferenced, content kept for prefix hits
  std::int64_t empty = 0;     // held by nobody, no content
  std::int64_t total() const { return tokens + reserved + internal + padding + cached + empty; }
};

// Integral of SlotUsage over time, slot-seconds.
struct SlotSeconds {
  double tokens = 0, reserved = 0, internal = 0, padding = 0, cached = 0, empty = 0;
  void add(const SlotUsage& usage, Seconds time) {
    tokens += static_cast<double>(usage.tokens) * time.count();
    reserved += static_cast<double>(usage.reserved) * time.count();
    internal += static_cast<double>(usage.internal) * time.count();
    padding += static_cast<double>(usage.padding) * time.count();
    cached += static_cast<double>(usage.cached) * time.count();
    empty += static_cast<double>(usage.empty) * time.count();
  }
};

// Blocks of the host tier; stored, evicted and loaded since the start.
struct HostTierUse {
  std::int64_t resident = 0, stored = 0, evicted = 0, loaded = 0;
};

class KvAllocator {
 public:
  virtual ~KvAllocator() = default;

  virtual std::int64_t capacity() const = 0;  // slots
  // Units that can be had now: blocks for paged, slots for contiguous. Cached unreferenced blocks count.
  virtual std::int64_t available() const = 0;
  virtual std::int64_t unit_tokens() const = 0;  // slots per unit

  // Tokens at the start of the demand that are in the prefix cache: a multiple of the block size, at most
  // prompt_tokens - 1 (SEMANTICS 2.2.4). Always 0 without prefix caching. Changes nothing.
  virtual std::int64_t cached_prefix(const KvDemand& demand) const = 0;

  // Whether slots for the first `upto` tokens could be had, `cached` of them from the prefix cache, leaving
  // `keep_free` units. Changes nothing. Contiguous: whether the whole reservation finds a place.
  virtual bool can_open(const KvDemand& demand, std::int64_t cached, std::int64_t upto,
                        std::int64_t keep_free) const = 0;
  // Whether it could be had with the pool to itself; if not, the request can never run.
  virtual bool ever_fits(const KvDemand& demand, std::int64_t upto) const = 0;
  // Allocates slots for tokens [0, upto); stores `cached` tokens. Requires can_open(). `id` must not be open.
  virtual void open(SequenceId id, const KvDemand& demand, std::int64_t cached, std::int64_t upto) = 0;
  // Units that extend(id, upto) would take.
  virtual std::int64_t units_to_extend(SequenceId id, std::int64_t upto) const = 0;
  // Slots for tokens [0, upto) of an open sequence outside the decode group. Requires units_to_extend() <= available().
  virtual void extend(SequenceId id, std::int64_t upto) = 0;
  // Tokens [0, upto) are scheduled to be computed: they count as stored, and full blocks become findable.
  virtual void store(SequenceId id, std::int64_t upto) = 0;
  // Gives everything back. Paged with prefix caching: blocks in reverse order to the tail of the free queue. `returns`:
  // the request was preempted and will look for its blocks again.
  virtual void close(SequenceId id, bool returns) = 0;

  // --- the decode group: every member stores one more token per step ---
  virtual void join(SequenceId id) = 0;
  virtual void leave(SequenceId id) = 0;  // stays open; keeps what it has
  // Static batches: the sequence has ended, but its row keeps its slots and keeps growing until closed.
  virtual void retire(SequenceId id) = 0;
  // Units the member itself takes in the next step.
  virtual std::int64_t units_for_next(SequenceId id) const = 0;
  // Units the whole group takes in the next step, beyond what take_for_next_step() has taken.
  virtual std::int64_t units_for_next_step() const = 0;
  // Takes them now, ahead of the requests admitted in the same step (an engine serves its running requests first, so
  // what they evict is gone when the waiting ones look for prefixes). Requires them to be available.
  virtual void take_for_next_step() {}
  // Most steps, at most `max_steps`, after each of which at least `keep_free` units are left.
  virtual std::int64_t steps_within(std::int64_t max_steps, std::int64_t keep_free) const = 0;
  // `steps` steps of the whole group; step i (from 0) lasts first + i*slope. Adds to `ledger` the usage during each
  // step, that step's new slots included. Requires steps_within(steps, 0) == steps.
  virtual void advance(std::int64_t steps, Seconds first, Seconds slope, SlotSeconds& ledger) = 0;
  // Tokens stored now by an open sequence (of one of `width` samples), pads excluded.
  virtual std::int64_t stored(SequenceId id) const = 0;
  // Contiguous allocators: the first slot of the sequence's range; -1 where slots are not consecutive.
  virtual std::int64_t first_slot(SequenceId) const { return -1; }
  // Whole-block copies that copy-on-write will make in the group's next step.
  virtual std::int64_t block_copies_for_next_step() const { return 0; }

  virtual SlotUsage usage() const = 0;
  // Tokens found by cached_prefix() at open() and tokens asked for, both since the start; first admissions only.
  virtual std::int64_t prefix_hit_tokens() const { return 0; }
  virtual std::int64_t prefix_query_tokens() const { return 0; }

  // --- swap to host memory (paged only); blocks keep their order ---
  virtual bool can_swap_out(SequenceId) const { return false; }
  virtual std::int64_t swap_out(SequenceId) { return 0; }  // blocks moved; leaves the decode group first
  virtual bool can_swap_in(SequenceId, std::int64_t /*keep_free*/) const { return false; }
  virtual std::int64_t swap_in(SequenceId) { return 0; }  // blocks moved

  // --- a tier of host memory behind the prefix cache (paged only, HostTier) ---
  // Tokens of the demand behind its `cached` first ones that the host has, whole blocks; unlike cached_prefix() the
  // last block of the prompt may be among them. Changes nothing.
  virtual std::int64_t host_prefix(const KvDemand&, std::int64_t /*cached*/) const { return 0; }
  // Those of a sequence just opened are being copied to the GPU: the host keeps them until end_load().
  virtual void begin_load(SequenceId, std::int64_t /*tokens*/) {}
  virtual void end_load(SequenceId) {}
  virtual HostTierUse host_tier() const { return {}; }

  // Bytes the device allocator holds beyond the live tensors (dynamic only).
  virtual Bytes fragmentation() const { return Bytes{0}; }
  virtual Bytes peak() const = 0;  // most KV bytes ever held by sequences
};

enum class FitPolicy { kFirst, kBest, kBuddy };

struct KvAllocatorOptions {
  std::int64_t capacity_tokens = 0;  // slots; paged: a multiple of block_size
  std::int64_t kv_bytes_per_token = 0;
  std::int64_t block_size = 16;        // paged
  bool enable_prefix_caching = false;  // paged
  std::int64_t cpu_blocks = 0;         // paged: swap space
  std::int64_t host_blocks = 0;        // paged with prefix caching: host tier, 0 for none
  FitPolicy fit = FitPolicy::kFirst;   // contiguous allocators: which address a reservation gets
  std::int64_t num_layers = 0;         // dynamic: one K and one V tensor each
};

// Every allocator a scenario can name; see kv_allocators.cpp.
struct KvAllocatorEntry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<KvAllocator> (*make)(const KvAllocatorOptions&);
};
std::span<const KvAllocatorEntry> kv_allocators();

}  // namespace headroom
