// From the key of a block's content to the blocks that hold it, and the keys of a request's prompt.
//
// Keys are chained: a block's key stands for its own tokens and all before them (SEMANTICS 2.2.4). Content known to
// several requests comes from their ContentSegments; blocks beyond those belong to one request alone and get keys
// made of the request and the block's place, so that only the request itself, after a preemption, finds them again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/memory/block_pool.h"
#include "sim/memory/kv_allocator.h"

namespace headroom {

// Keys of the first blocks of one prompt, in order. Each call costs O(1) and one step along the segments.
class KeyChain {
 public:
  KeyChain() = default;
  KeyChain(const KvDemand& demand, std::int64_t block_size);
  // Key of the next block. Requires that the block is full.
  BlockKey next();

 private:
  std::span<const ContentSegment> content_;
  std::uint64_t rest_ = 0;  // identity of what follows the segments
  std::int64_t block_size_ = 1;
  std::size_t segment_ = 0;
  std::int64_t offset_ = 0;  // tokens of the current segment already used
  BlockKey chain_ = 1;
};

// Open addressing, linear probing; several blocks may hold the same content (they are not de-duplicated), the one
// registered first is found first.
class PrefixIndex {
 public:
  PrefixIndex();
  bool find(BlockKey key, BlockId& block) const;
  void insert(BlockKey key, BlockId block);
  void erase(BlockKey key, BlockId block);
  std::size_t size() const { return size_; }
  std::uint64_t version() const { return version_; }  // changes with every change

 private:
  struct Slot {
    BlockKey key = 0;
    BlockId block{};
  };
  std::size_t home(BlockKey key) const { return static_cast<std::size_t>(key) & (slots_.size() - 1); }
  void grow();

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace headroom
