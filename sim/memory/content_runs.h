// The blocks of a prompt, named by their content (SEMANTICS 2.2.4): a block's name stands for its own tokens and for
// all before them.
//
// Content comes in segments, so names come in runs: consecutive blocks that lie within one segment have one name and an
// ordinal each. A block that straddles segments is a run of its own. Which run a block belongs to, and its ordinal, are
// settled by what comes before it; two prompts that begin alike name their blocks alike as far as they agree.
//
// Tokens behind the segments belong to one request alone; only the request itself, after a preemption, finds them
// again (or, if the output has an identity, the later turns of its session).
#pragma once

#include <cstdint>
#include <span>

#include "sim/memory/kv_allocator.h"

namespace headroom {

using RunKey = std::uint64_t;  // above kLastReservedKey
inline constexpr RunKey kLastReservedKey = 1;

// Blocks [first, first + blocks) of a run.
struct Stretch {
  RunKey run = 0;
  std::int64_t first = 0;
  std::int64_t blocks = 0;
};

class ContentRuns {
 public:
  ContentRuns() = default;
  ContentRuns(const KvDemand& demand, std::int64_t block_size);
  // The next blocks, as many of `most` as lie in one run. Requires most >= 1, and that these blocks are full.
  Stretch next(std::int64_t most);

 private:
  bool inside() const { return segment_ < content_.size(); }
  std::int64_t left_in_segment() const { return content_[segment_].tokens - offset_; }
  void skip(std::int64_t tokens);  // within the segment
  Stretch straddling_block();

  std::span<const ContentSegment> content_;
  std::uint64_t rest_ = 0;  // identity of what follows the segments
  std::int64_t block_size_ = 1;
  std::size_t segment_ = 0;
  std::int64_t offset_ = 0;  // tokens of the current segment already named
  std::uint64_t chain_ = 1;  // stands for everything before the run
  RunKey run_ = 0;           // begun; 0: none
  std::int64_t in_run_ = 0;  // blocks of it already named
};

}  // namespace headroom
