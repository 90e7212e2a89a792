#include "sim/memory/content_runs.h"

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

RunKey key_of(std::uint64_t hash) {
  return hash <= kLastReservedKey ? hash + kLastReservedKey + 1 : hash;
}

}  // namespace

ContentRuns::ContentRuns(const KvDemand& demand, std::int64_t block_size)
    : content_(demand.content),
      rest_(demand.output_content != 0 ? demand.output_content : ~static_cast<std::uint64_t>(demand.request)),
      block_size_(block_size) {}

void ContentRuns::skip(std::int64_t tokens) {
  offset_ += tokens;
  if (!inside() || left_in_segment() > 0) return;
  ++segment_;
  offset_ = 0;
}

Stretch ContentRuns::next(std::int64_t most) {
  if (run_ == 0) {
    if (inside() && left_in_segment() < block_size_) return straddling_block();
    const std::uint64_t id = inside() ? content_[segment_].id : rest_;
    run_ = key_of(chained(chained(chain_, id), static_cast<std::uint64_t>(offset_)));
    in_run_ = 0;
  }
  const bool bounded = inside();
  const Stretch s{run_, in_run_, bounded ? std::min(most, left_in_segment() / block_size_) : most};
  in_run_ += s.blocks;
  const bool ends = bounded && left_in_segment() - s.blocks * block_size_ < block_size_;
  skip(s.blocks * block_size_);
  if (ends) {
    chain_ = chained(run_, static_cast<std::uint64_t>(in_run_));
    run_ = 0;
  }
  return s;
}

Stretch ContentRuns::straddling_block() {
  for (std::int64_t left = block_size_; left > 0;) {
    const std::uint64_t id = inside() ? content_[segment_].id : rest_;
    const std::int64_t taken = inside() ? std::min(left, left_in_segment()) : left;
    chain_ =
        chained(chained(chained(chain_, id), static_cast<std::uint64_t>(offset_)), static_cast<std::uint64_t>(taken));
    skip(taken);
    left -= taken;
  }
  return Stretch{key_of(chain_), 0, 1};
}

}  // namespace headroom
