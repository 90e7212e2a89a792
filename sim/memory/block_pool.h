// All KV blocks of one replica, by identity: reference counts, and the free queue in order of eviction.
//
// Rules of SEMANTICS 2.2.4. The free queue is a doubly linked list in index arrays, first in block order; blocks are
// taken from its head and given back at its tail, so its head is what was unused longest. A block keeps its content's
// key while it is free; taken for something else, it loses it.
//
// Invariants: 1. a block is in the queue exactly when its reference count is 0. 2. num_free() counts the queue.
//   3. num_cached() counts the blocks of the queue that have a key.
#pragma once

#include <cstdint>
#include <vector>

namespace headroom {

enum class BlockId : std::uint32_t {};
constexpr std::size_t index_of(BlockId id) {
  return static_cast<std::size_t>(id);
}

// Identity of a full block's content and all that came before it; 0: none. Keys that the prefix index knows have the
// top bit set; kUnindexed marks content that nobody can ask for again.
using BlockKey = std::uint64_t;
inline constexpr BlockKey kIndexed = BlockKey{1} << 63;
inline constexpr BlockKey kUnindexed = 1;

class BlockPool {
 public:
  explicit BlockPool(std::int64_t num_blocks);

  std::int64_t num_blocks() const { return static_cast<std::int64_t>(blocks_.size()) - 1; }
  std::int64_t num_free() const { return num_free_; }
  std::int64_t num_cached() const { return num_cached_; }

  struct Taken {
    BlockId id;
    BlockKey evicted;  // the key it lost, 0 if it had none
  };
  // The block unused longest, reference count 1. Requires num_free() > 0.
  Taken take() {
    const std::uint32_t b = blocks_[kQueue].next;
    unlink(b);
    Block& block = blocks_[b];
    block.references = 1;
    const BlockKey evicted = block.key;
    block.key = 0;
    num_cached_ -= evicted != 0;
    return Taken{BlockId{b}, evicted};
  }
  // The `count` blocks unused longest, appended to `out`, as take() one by one; `evicted(key, id)` for each that lost a
  // key of the index. Requires num_free() >= count.
  template <class OnEvicted>
  void take(std::int64_t count, std::vector<BlockId>& out, OnEvicted evicted) {
    std::uint32_t b = blocks_[kQueue].next;
    for (std::int64_t i = 0; i < count; ++i) {
      Block& block = blocks_[b];
      block.references = 1;
      if (block.key != 0) {
        --num_cached_;
        if ((block.key & kIndexed) != 0) evicted(block.key, BlockId{b});
        block.key = 0;
      }
      out.push_back(BlockId{b});
      b = block.next;
    }
    blocks_[kQueue].next = b;
    blocks_[b].previous = kQueue;
    num_free_ -= count;
  }
  // One more owner; a free block leaves the queue with its content.
  void touch(BlockId id) {
    Block& block = blocks_[index_of(id)];
    if (block.references++ == 0) {
      unlink(static_cast<std::uint32_t>(id));
      num_cached_ -= block.key != 0;
    }
  }
  // One owner less; without owners it joins the tail of the queue.
  void release(BlockId id) {
    Block& block = blocks_[index_of(id)];
    if (--block.references > 0) return;
    const auto b = static_cast<std::uint32_t>(id);
    block.previous = blocks_[kQueue].previous;
    block.next = kQueue;
    blocks_[block.previous].next = b;
    blocks_[kQueue].previous = b;
    ++num_free_;
    num_cached_ += block.key != 0;
  }
  void set_key(BlockId id, BlockKey key) { blocks_[index_of(id)].key = key; }
  BlockKey key(BlockId id) const { return blocks_[index_of(id)].key; }
  std::int32_t references(BlockId id) const { return blocks_[index_of(id)].references; }

 private:
  struct Block {
    std::uint32_t previous, next;
    BlockKey key = 0;
    std::int32_t references = 0;
  };
  static constexpr std::uint32_t kQueue = 0;  // sentinel; blocks count from 1

  void unlink(std::uint32_t b) {
    const Block& block = blocks_[b];
    blocks_[block.previous].next = block.next;
    blocks_[block.next].previous = block.previous;
    --num_free_;
  }

  std::vector<Block> blocks_;
  std::int64_t num_free_ = 0;
  std::int64_t num_cached_ = 0;
};

}  // namespace headroom
