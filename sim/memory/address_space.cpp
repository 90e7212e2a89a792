#include "sim/memory/address_space.h"

#include <algorithm>
#include <bit>

namespace headroom {

AddressSpace::AddressSpace(std::int64_t size, FitPolicy policy) : size_(size), policy_(policy), free_(size) {
  if (policy_ != FitPolicy::kBuddy) {
    if (size > 0) holes_.emplace(0, size);
    return;
  }
  by_order_.resize(64);
  std::int64_t address = 0;
  for (int order = 62; order >= 0; --order) {
    if (((size >> order) & 1) == 0) continue;
    by_order_[static_cast<std::size_t>(order)].insert(address);
    roots_.push_back(address);
    address += std::int64_t{1} << order;
  }
  roots_.push_back(address);
}

int AddressSpace::order_of(std::int64_t length) {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(length, 1) - 1)));
}

std::map<std::int64_t, std::int64_t>::const_iterator AddressSpace::find_hole(std::int64_t length) const {
  if (policy_ == FitPolicy::kFirst)
    return std::find_if(holes_.begin(), holes_.end(), [&](const auto& hole) { return hole.second >= length; });
  auto best = holes_.end();
  for (auto hole = holes_.begin(); hole != holes_.end(); ++hole)
    if (hole->second >= length && (best == holes_.end() || hole->second < best->second)) best = hole;
  return best;
}

std::optional<std::int64_t> AddressSpace::allocate(std::int64_t length) {
  if (policy_ == FitPolicy::kBuddy) return allocate_buddy(order_of(length));
  const auto hole = find_hole(length);
  if (hole == holes_.end()) return std::nullopt;
  const auto [address, room] = *hole;
  holes_.erase(hole);
  if (room > length) holes_.emplace(address + length, room - length);
  free_ -= length;
  return address;
}

void AddressSpace::free(std::int64_t address, std::int64_t length) {
  if (policy_ == FitPolicy::kBuddy) return free_buddy(address, order_of(length));
  free_ += length;
  auto next = holes_.lower_bound(address);
  if (next != holes_.end() && next->first == address + length) {
    length += next->second;
    next = holes_.erase(next);
  }
  if (next != holes_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == address) {
      before->second += length;
      return;
    }
  }
  holes_.emplace_hint(next, address, length);
}

bool AddressSpace::has_room(std::int64_t length) const {
  if (policy_ != FitPolicy::kBuddy) return find_hole(length) != holes_.end();
  for (auto order = static_cast<std::size_t>(order_of(length)); order < by_order_.size(); ++order)
    if (!by_order_[order].empty()) return true;
  return false;
}

bool AddressSpace::ever_has_room(std::int64_t length) const {
  if (policy_ != FitPolicy::kBuddy) return length <= size_;
  return size_ > 0 && order_of(length) <= static_cast<int>(std::bit_width(static_cast<std::uint64_t>(size_))) - 1;
}

std::int64_t AddressSpace::largest_hole() const {
  std::int64_t largest = 0;
  for (const auto& [address, length] : holes_) largest = std::max(largest, length);
  for (std::size_t order = 0; order < by_order_.size(); ++order)
    if (!by_order_[order].empty()) largest = std::int64_t{1} << order;
  return largest;
}

std::optional<std::int64_t> AddressSpace::allocate_buddy(int order) {
  auto from = static_cast<std::size_t>(order);
  while (from < by_order_.size() && by_order_[from].empty()) ++from;
  if (from == by_order_.size()) return std::nullopt;
  const std::int64_t address = *by_order_[from].begin();
  by_order_[from].erase(by_order_[from].begin());
  for (; from > static_cast<std::size_t>(order); --from)  // the upper halves stay free
    by_order_[from - 1].insert(address + (std::int64_t{1} << (from - 1)));
  free_ -= std::int64_t{1} << order;
  return address;
}

void AddressSpace::free_buddy(std::int64_t address, int order) {
  free_ += std::int64_t{1} << order;
  const auto root = std::prev(std::upper_bound(roots_.begin(), roots_.end(), address));
  const std::int64_t base = *root;
  const std::int64_t length = *std::next(root) - base;
  for (; (std::int64_t{1} << order) < length; ++order) {  // merge with the buddy while it is free
    const std::int64_t buddy = base + ((address - base) ^ (std::int64_t{1} << order));
    auto& level = by_order_[static_cast<std::size_t>(order)];
    const auto it = level.find(buddy);
    if (it == level.end()) break;
    level.erase(it);
    address = std::min(address, buddy);
  }
  by_order_[static_cast<std::size_t>(order)].insert(address);
}

}  // namespace headroom
