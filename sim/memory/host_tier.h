// KV blocks kept in host memory behind the prefix cache, after the CPU tier of vLLM's OffloadingConnector
// (vllm/v1/kv_offload/lru_manager.py 3a04cf8).
//
// Every full block is copied here once it is computed, unless a block of the same content is here already; what was
// unused longest makes room. So a block that the GPU's pool evicts is found here as long as the tier remembers it.
// Blocks that are being loaded stay. Of what one request stores or uses at once the end of the prompt goes first, as in
// PrefixCache, whose queue and index these are.
//
// Invariant: copied in == resident + evicted, in blocks (tests count them).
#pragma once

#include <cstdint>
#include <vector>

#include "sim/memory/prefix_cache.h"

namespace headroom {

class HostTier {
 public:
  explicit HostTier(std::int64_t num_blocks) : blocks_(num_blocks) {}

  // Copies those blocks of `content` that are not here; as many as are not held by loads have room.
  void store(Stretch content);
  // The leading blocks of `wanted` that are here, appended to `hits`; how many.
  std::int64_t find(const Stretch& wanted, std::vector<PrefixCache::Hit>& hits) const {
    return blocks_.find(wanted, hits);
  }
  // What find() found is used: last in line for eviction.
  void touch(std::span<const PrefixCache::Hit> hits);
  // It cannot be evicted until let_go(); appended to `table`.
  void hold(std::span<const PrefixCache::Hit> hits, std::vector<PrefixCache::Held>& table) {
    blocks_.hold(hits, table);
  }
  void let_go(std::vector<PrefixCache::Held>& table);  // leaves it empty

  std::int64_t resident() const { return resident_; }
  std::int64_t stored() const { return stored_; }    // since the start
  std::int64_t evicted() const { return evicted_; }  // since the start

 private:
  PrefixCache blocks_;
  std::vector<PrefixCache::Hit> hits_;
  std::vector<PrefixCache::Held> table_;
  std::int64_t resident_ = 0, stored_ = 0, evicted_ = 0;
};

}  // namespace headroom
