// PyTorch's CUDA caching allocator, by its rules (SEMANTICS 6.6): what a framework holds beyond its live tensors.
//
// Requests are rounded to 512 B. Small ones (up to 1 MiB) come from 2 MiB segments, middle ones (up to 10 MiB) from
// 20 MiB segments, larger ones from a segment of their own, rounded to 2 MiB. The smallest free block that is large
// enough is used, and split when enough is left. A segment goes back to the device only when an allocation would
// otherwise fail, and only if nothing in it is live.
//
// Invariant: allocated() <= reserved() <= the device's capacity.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace headroom {

class CachingAllocator {
 public:
  explicit CachingAllocator(std::int64_t capacity) : capacity_(capacity) {}

  // Bytes in, a handle out; none when the device is out of memory even after giving cached segments back.
  std::optional<std::int64_t> allocate(std::int64_t bytes);
  void free(std::int64_t handle);

  std::int64_t allocated() const { return allocated_; }
  std::int64_t reserved() const { return reserved_; }
  std::int64_t peak_reserved() const { return peak_reserved_; }

 private:
  struct Block {
    std::int64_t size;
    std::int64_t segment;  // address its segment starts at
    bool small;
    bool live;
  };
  using Pool = std::set<std::pair<std::int64_t, std::int64_t>>;  // (size, address) of free blocks
  Pool& pool(bool small) { return small ? small_ : large_; }
  bool new_segment(std::int64_t size, bool small);
  void release_cached();

  std::int64_t capacity_;
  std::int64_t allocated_ = 0;
  std::int64_t reserved_ = 0;
  std::int64_t peak_reserved_ = 0;
  std::int64_t next_address_ = 0;
  std::map<std::int64_t, Block> blocks_;           // by address; neighbours of one segment are adjacent
  std::map<std::int64_t, std::int64_t> segments_;  // address -> size
  Pool small_, large_;
};

}  // namespace headroom
