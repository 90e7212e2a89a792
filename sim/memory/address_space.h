// Ranges of one linear address space, address-accurate: first fit, best fit, buddy (SEMANTICS 3.4).
//
// Invariant: holes are maximal (coalesced on free); holes and live ranges tile [0, size()).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sim/memory/kv_allocator.h"

namespace headroom {

class AddressSpace {
 public:
  AddressSpace(std::int64_t size, FitPolicy policy);

  // Address of `length` free slots, now taken; none if there is no such hole. Buddy takes the next power of two.
  std::optional<std::int64_t> allocate(std::int64_t length);
  void free(std::int64_t address, std::int64_t length);  // with the length that was asked for
  bool has_room(std::int64_t length) const;
  // With nothing allocated at all.
  bool ever_has_room(std::int64_t length) const;

  std::int64_t size() const { return size_; }
  std::int64_t free_slots() const { return free_; }
  std::int64_t largest_hole() const;

 private:
  // first fit, best fit
  std::map<std::int64_t, std::int64_t>::const_iterator find_hole(std::int64_t length) const;
  void add_hole(std::int64_t address, std::int64_t length);
  // buddy: free ranges by order; the pool is the powers of two of its binary expansion, largest first
  static int order_of(std::int64_t length);
  std::optional<std::int64_t> allocate_buddy(int order);
  void free_buddy(std::int64_t address, int order);

  std::int64_t size_;
  FitPolicy policy_;
  std::int64_t free_;
  std::map<std::int64_t, std::int64_t> holes_;    // address -> length
  std::vector<std::set<std::int64_t>> by_order_;  // buddy
  std::vector<std::int64_t> roots_;               // buddy: where each top-level range starts, and the end
};

}  // namespace headroom
