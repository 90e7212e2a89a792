#include "sim/memory/caching_allocator.h"

#include <algorithm>
#include <iterator>

#include "models/units.h"

namespace headroom {
namespace {

constexpr std::int64_t kGrain = 512;
constexpr std::int64_t kSmall = kMiB;  // largest request served from small segments
constexpr std::int64_t kSmallSegment = 2 * kMiB;
constexpr std::int64_t kMiddle = 10 * kMiB;  // largest request served from shared large segments
constexpr std::int64_t kMiddleSegment = 20 * kMiB;
constexpr std::int64_t kLargeGrain = 2 * kMiB;

}  // namespace

std::optional<std::int64_t> CachingAllocator::allocate(std::int64_t bytes) {
  const std::int64_t size = round_up(std::max<std::int64_t>(bytes, 1), kGrain);
  const bool small = size <= kSmall;
  auto found = pool(small).lower_bound({size, -1});
  if (found == pool(small).end()) {
    const std::int64_t segment = small ? kSmallSegment : size < kMiddle ? kMiddleSegment : round_up(size, kLargeGrain);
    if (!new_segment(segment, small)) {
      release_cached();
      if (!new_segment(segment, small)) return std::nullopt;
    }
    found = pool(small).lower_bound({size, -1});
  }
  const std::int64_t address = found->second;
  pool(small).erase(found);
  Block& block = blocks_.at(address);
  const std::int64_t rest = block.size - size;
  if (small ? rest >= kGrain : rest > kSmall) {
    blocks_.emplace(address + size, Block{rest, block.segment, small, false});
    pool(small).emplace(rest, address + size);
    block.size = size;
  }
  block.live = true;
  allocated_ += block.size;
  return address;
}

void CachingAllocator::free(std::int64_t handle) {
  auto it = blocks_.find(handle);
  it->second.live = false;
  allocated_ -= it->second.size;
  const auto joins = [&](const Block& other) { return !other.live && other.segment == it->second.segment; };
  if (const auto next = std::next(it); next != blocks_.end() && joins(next->second)) {
    pool(next->second.small).erase({next->second.size, next->first});
    it->second.size += next->second.size;
    blocks_.erase(next);
  }
  if (it != blocks_.begin()) {
    const auto before = std::prev(it);
    if (joins(before->second)) {
      pool(before->second.small).erase({before->second.size, before->first});
      before->second.size += it->second.size;
      blocks_.erase(it);
      it = before;
    }
  }
  pool(it->second.small).emplace(it->second.size, it->first);
}

bool CachingAllocator::new_segment(std::int64_t size, bool small) {
  if (reserved_ + size > capacity_) return false;
  const std::int64_t address = next_address_;
  next_address_ += size;
  segments_.emplace(address, size);
  blocks_.emplace(address, Block{size, address, small, false});
  pool(small).emplace(size, address);
  reserved_ += size;
  peak_reserved_ = std::max(peak_reserved_, reserved_);
  return true;
}

void CachingAllocator::release_cached() {
  for (auto segment = segments_.begin(); segment != segments_.end();) {
    const auto [address, size] = *segment;
    const auto block = blocks_.find(address);
    if (block->second.live || block->second.size != size) {
      ++segment;
      continue;
    }
    pool(block->second.small).erase({size, address});
    blocks_.erase(block);
    reserved_ -= size;
    segment = segments_.erase(segment);
  }
}

}  // namespace headroom
