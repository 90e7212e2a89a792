#include "sim/memory/host_tier.h"

#include <algorithm>

namespace headroom {

void HostTier::store(Stretch content) {
  while (content.blocks > 0) {
    std::int64_t passed = blocks_.missing(content);
    if (const std::int64_t copied = std::min(passed, blocks_.num_free()); copied > 0) {
      const std::int64_t cached = blocks_.num_cached();
      blocks_.take(copied);
      evicted_ += cached - blocks_.num_cached();
      blocks_.enter({content.run, content.first, copied}, table_);
      let_go(table_);
      stored_ += copied;
      resident_ = stored_ - evicted_;
    }
    if (passed == 0) {
      hits_.clear();
      passed = blocks_.find(content, hits_);
    }
    content.first += passed;
    content.blocks -= passed;
  }
}

void HostTier::touch(std::span<const PrefixCache::Hit> hits) {
  blocks_.hold(hits, table_);
  let_go(table_);
}

void HostTier::let_go(std::vector<PrefixCache::Held>& table) {
  for (auto held = table.rbegin(); held != table.rend(); ++held) blocks_.release(*held);
  table.clear();
}

}  // namespace headroom
