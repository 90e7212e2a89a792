#include "sim/memory/prefix_cache.h"

#include <algorithm>

namespace headroom {
namespace {

// splitmix64's finaliser: every bit of the input moves every bit of the output.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::uint64_t chained(std::uint64_t chain, std::uint64_t value) {
  return mix(chain * 0x9e3779b97f4a7c15ULL + value + 1);
}

}  // namespace

KeyChain::KeyChain(const KvDemand& demand, std::int64_t block_size)
    : content_(demand.content),
      rest_(demand.output_content != 0 ? demand.output_content : ~static_cast<std::uint64_t>(demand.request)),
      block_size_(block_size) {}

BlockKey KeyChain::next() {
  for (std::int64_t left = block_size_; left > 0;) {
    const bool inside = segment_ < content_.size();
    const std::uint64_t id = inside ? content_[segment_].id : rest_;
    const std::int64_t taken = inside ? std::min(left, content_[segment_].tokens - offset_) : left;
    chain_ = chained(chained(chain_, id), static_cast<std::uint64_t>((offset_ << 20) + taken));
    offset_ += taken;
    left -= taken;
    if (inside && offset_ == content_[segment_].tokens) {
      ++segment_;
      offset_ = 0;
    }
  }
  return chain_ | kIndexed;
}

PrefixIndex::PrefixIndex() : slots_(1024) {}

bool PrefixIndex::find(BlockKey key, BlockId& block) const {
  for (std::size_t i = home(key); slots_[i].key != 0; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].key != key) continue;
    block = slots_[i].block;
    return true;
  }
  return false;
}

void PrefixIndex::insert(BlockKey key, BlockId block) {
  if ((size_ + 1) * 2 > slots_.size()) grow();
  std::size_t i = home(key);
  while (slots_[i].key != 0) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = Slot{key, block};
  ++size_;
  ++version_;
}

void PrefixIndex::erase(BlockKey key, BlockId block) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = home(key);
  while (slots_[i].key != key || slots_[i].block != block) i = (i + 1) & mask;
  --size_;
  ++version_;
  // Close the hole: whatever sits behind it and would not be found any more moves up. Order among equals is kept.
  for (std::size_t j = (i + 1) & mask; slots_[j].key != 0; j = (j + 1) & mask) {
    if (((j - home(slots_[j].key)) & mask) < ((j - i) & mask)) continue;
    slots_[i] = slots_[j];
    i = j;
  }
  slots_[i] = Slot{};
}

void PrefixIndex::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  size_ = 0;
  // Start behind an empty slot, so that equal keys keep their order.
  std::size_t start = 0;
  while (old[start].key != 0) ++start;
  for (std::size_t n = 0; n < old.size(); ++n) {
    const Slot& s = old[(start + n) & (old.size() - 1)];
    if (s.key != 0) insert(s.key, s.block);
  }
}

}  // namespace headroom
