#include "sim/memory/block_pool.h"

namespace headroom {

BlockPool::BlockPool(std::int64_t num_blocks)
    : blocks_(static_cast<std::size_t>(num_blocks) + 1), num_free_(num_blocks) {
  const auto last = static_cast<std::uint32_t>(num_blocks);
  for (std::uint32_t b = 0; b <= last; ++b) {
    blocks_[b].previous = b == 0 ? last : b - 1;
    blocks_[b].next = b == last ? 0 : b + 1;
  }
}

}  // namespace headroom
