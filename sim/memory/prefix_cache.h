// All KV blocks of one replica when full blocks can be found by content: reference counts, the free queue in order of
// eviction, and the index from content to blocks.
//
// Rules of SEMANTICS 2.2.4. Free blocks form a queue: taken from its head, given back at its tail, so its head is what
// was unused longest; a holder gives its blocks back last one first. A block keeps its content while it is free; taken
// for something else, it loses it. Equal content may be there several times (blocks are not de-duplicated); of each
// block the copy that was entered first is found.
//
// Blocks are kept in pieces: neighbours in one run of content that were entered together and share one fate since, with
// one reference count and one place in the queue. What costs a block-by-block cache something for each block costs this
// one something for each piece, and a prompt of a thousand blocks is a handful. A piece is split when somebody holds a
// part of it; holders of the whole then find the parts along `rest`.
//
// Invariants: 1. a piece is in the queue exactly when its reference count is 0. 2. num_free() counts the blocks of the
//   queue, num_cached() those of them that have content. 3. in the queue, the blocks of a piece stand last one first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/memory/content_runs.h"

namespace headroom {

// Where each run's pieces begin and end. Open addressing, linear probing; keys are hashes already.
class RunIndex {
 public:
  struct Ends {
    RunKey run = 0;
    std::uint32_t first = 0, last = 0;  // pieces, in order of entry
  };
  RunIndex() : slots_(1024) {}
  Ends* find(RunKey run);
  const Ends* find(RunKey run) const { return const_cast<RunIndex*>(this)->find(run); }
  Ends& insert(RunKey run);  // requires that it is not there; invalidates what find() returned
  void erase(RunKey run);

 private:
  std::size_t home(RunKey run) const { return static_cast<std::size_t>(run) & (slots_.size() - 1); }

  std::vector<Ends> slots_;
  std::size_t size_ = 0;
};

class PrefixCache {
 public:
  using PieceId = std::uint32_t;
  static constexpr PieceId kNoPiece = 0;

  // Consecutive blocks of a holder: those of a piece (and of what was split off it), or blocks without content.
  struct Held {
    PieceId piece = kNoPiece;
    std::int64_t blocks = 0;
  };
  // Blocks [from, to) of a piece's run that were found.
  struct Hit {
    PieceId piece;
    std::int64_t from, to;
    std::int64_t blocks() const { return to - from; }
  };

  explicit PrefixCache(std::int64_t num_blocks);

  std::int64_t num_free() const { return num_free_; }
  std::int64_t num_cached() const { return num_cached_; }
  // Changes whenever find() could find something else.
  std::uint64_t version() const { return version_; }

  // The leading blocks of `wanted` that are here, appended to `hits`; how many.
  std::int64_t find(const Stretch& wanted, std::vector<Hit>& hits) const;
  // How many of its leading blocks are not here.
  std::int64_t missing(const Stretch& wanted) const;
  bool held(const Hit& hit) const { return pieces_[hit.piece].references > 0; }
  // One more holder of these, free ones leave the queue; appended to `table`. Requires that nothing has changed since
  // find() found them.
  void hold(std::span<const Hit> hits, std::vector<Held>& table);

  // The `blocks` unused longest leave the queue and lose their content. Requires blocks <= num_free().
  void take(std::int64_t blocks);
  // Blocks that a holder took get their content; appended to `table`.
  void enter(const Stretch& content, std::vector<Held>& table);

  // A holder less, last block first. Returns how many blocks nobody holds now.
  std::int64_t release(const Held& held);
  // Blocks that one holder had alone: with content that nobody can ask for, or none.
  void release_lost(std::int64_t blocks) { append_anonymous(kLost, blocks); }
  void release_empty(std::int64_t blocks) { append_anonymous(kEmpty, blocks); }

 private:
  static constexpr RunKey kEmpty = 0, kLost = 1;

  struct Piece {
    RunKey run = kEmpty;
    std::int64_t from = 0, to = 0;   // ordinals in the run
    PieceId previous = 0, next = 0;  // in the queue
    PieceId later = 0;               // of the same run, entered later
    PieceId rest = 0;                // what was split off its end
    std::int32_t references = 0;
    std::int64_t blocks() const { return to - from; }
  };
  static constexpr PieceId kQueue = 0;  // sentinel

  PieceId make(RunKey run, std::int64_t from, std::int64_t to);
  void split(PieceId id, std::int64_t at);
  void append(PieceId id);
  void append_anonymous(RunKey kind, std::int64_t blocks);
  void unlink(PieceId id);
  void forget(PieceId id);  // out of its run, its id is free

  std::vector<Piece> pieces_;
  std::vector<PieceId> free_ids_;
  std::vector<PieceId> parts_;  // of the piece being released
  RunIndex index_;
  std::int64_t num_free_ = 0;
  std::int64_t num_cached_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace headroom
