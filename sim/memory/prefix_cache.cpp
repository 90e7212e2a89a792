#include "sim/memory/prefix_cache.h"

#include <algorithm>
#include <limits>

namespace headroom {

RunIndex::Ends* RunIndex::find(RunKey run) {
  for (std::size_t i = home(run); slots_[i].run != 0; i = (i + 1) & (slots_.size() - 1))
    if (slots_[i].run == run) return &slots_[i];
  return nullptr;
}

RunIndex::Ends& RunIndex::insert(RunKey run) {
  if ((size_ + 1) * 2 > slots_.size()) {
    std::vector<Ends> old(slots_.size() * 2);
    old.swap(slots_);
    size_ = 0;
    for (const Ends& e : old)
      if (e.run != 0) insert(e.run) = e;
  }
  std::size_t i = home(run);
  while (slots_[i].run != 0) i = (i + 1) & (slots_.size() - 1);
  ++size_;
  slots_[i] = Ends{run, 0, 0};
  return slots_[i];
}

void RunIndex::erase(RunKey run) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = static_cast<std::size_t>(find(run) - slots_.data());
  --size_;
  // Whatever sits behind the hole and would not be found any more moves up.
  for (std::size_t i = (hole + 1) & mask; slots_[i].run != 0; i = (i + 1) & mask) {
    if (((i - home(slots_[i].run)) & mask) < ((i - hole) & mask)) continue;
    slots_[hole] = slots_[i];
    hole = i;
  }
  slots_[hole] = Ends{};
}

PrefixCache::PrefixCache(std::int64_t num_blocks) : pieces_(1) {
  append_anonymous(kEmpty, num_blocks);
}

PrefixCache::PieceId PrefixCache::make(RunKey run, std::int64_t from, std::int64_t to) {
  PieceId id = 0;
  if (free_ids_.empty()) {
    id = static_cast<PieceId>(pieces_.size());
    pieces_.emplace_back();
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
  }
  pieces_[id] = Piece{.run = run, .from = from, .to = to};
  return id;
}

void PrefixCache::append(PieceId id) {
  Piece& p = pieces_[id];
  p.previous = pieces_[kQueue].previous;
  p.next = kQueue;
  pieces_[p.previous].next = id;
  pieces_[kQueue].previous = id;
  num_free_ += p.blocks();
  if (p.run != kEmpty) num_cached_ += p.blocks();
}

void PrefixCache::unlink(PieceId id) {
  const Piece& p = pieces_[id];
  pieces_[p.previous].next = p.next;
  pieces_[p.next].previous = p.previous;
  num_free_ -= p.blocks();
  if (p.run != kEmpty) num_cached_ -= p.blocks();
}

void PrefixCache::append_anonymous(RunKey kind, std::int64_t blocks) {
  if (blocks == 0) return;
  Piece& last = pieces_[pieces_[kQueue].previous];
  if (pieces_[kQueue].previous == kQueue || last.run != kind) return append(make(kind, 0, blocks));
  last.to += blocks;  // one is as good as another
  num_free_ += blocks;
  if (kind != kEmpty) num_cached_ += blocks;
}

void PrefixCache::forget(PieceId id) {
  const Piece& gone = pieces_[id];
  free_ids_.push_back(id);
  if (gone.run <= kLastReservedKey) return;
  RunIndex::Ends& ends = *index_.find(gone.run);
  if (ends.first == id) {
    ends.first = gone.later;
    if (gone.later == kNoPiece) index_.erase(gone.run);
    return;
  }
  PieceId before = ends.first;
  while (pieces_[before].later != id) before = pieces_[before].later;
  pieces_[before].later = gone.later;
  if (ends.last == id) ends.last = before;
}

void PrefixCache::take(std::int64_t blocks) {
  while (blocks > 0) {
    const PieceId id = pieces_[kQueue].next;
    Piece& p = pieces_[id];
    const std::int64_t taken = std::min(blocks, p.blocks());
    blocks -= taken;
    version_ += p.run > kLastReservedKey;
    if (taken == p.blocks()) {
      unlink(id);
      forget(id);
    } else {
      p.to -= taken;
      num_free_ -= taken;
      if (p.run != kEmpty) num_cached_ -= taken;
    }
  }
}

std::int64_t PrefixCache::find(const Stretch& wanted, std::vector<Hit>& hits) const {
  const RunIndex::Ends* ends = index_.find(wanted.run);
  if (ends == nullptr) return 0;
  const std::int64_t end = wanted.first + wanted.blocks;
  std::int64_t at = wanted.first;
  while (at < end) {
    std::int64_t until = end;  // what an earlier piece has comes first
    PieceId id = ends->first;
    for (; id != kNoPiece; id = pieces_[id].later) {
      const Piece& p = pieces_[id];
      if (p.from <= at && at < p.to) break;
      if (p.from > at) until = std::min(until, p.from);
    }
    if (id == kNoPiece) break;
    until = std::min(until, pieces_[id].to);
    hits.push_back(Hit{id, at, until});
    at = until;
  }
  return at - wanted.first;
}

std::int64_t PrefixCache::missing(const Stretch& wanted) const {
  const RunIndex::Ends* ends = index_.find(wanted.run);
  std::int64_t until = wanted.first + wanted.blocks;
  for (PieceId id = ends == nullptr ? kNoPiece : ends->first; id != kNoPiece; id = pieces_[id].later) {
    const Piece& p = pieces_[id];
    if (p.from <= wanted.first && wanted.first < p.to) return 0;
    if (p.from > wanted.first) until = std::min(until, p.from);
  }
  return until - wanted.first;
}

// [from, at) keeps its id; [at, to) becomes a piece of its own, right behind it in the run, right before it in the
// queue.
void PrefixCache::split(PieceId id, std::int64_t at) {
  const PieceId tail = make(pieces_[id].run, at, pieces_[id].to);
  Piece& p = pieces_[id];
  Piece& t = pieces_[tail];
  p.to = at;
  t.references = p.references;
  t.rest = p.rest;
  p.rest = tail;
  t.later = p.later;
  p.later = tail;
  if (RunIndex::Ends& ends = *index_.find(p.run); ends.last == id) ends.last = tail;
  if (p.references > 0) return;
  t.previous = p.previous;
  t.next = id;
  pieces_[t.previous].next = tail;
  p.previous = tail;
}

void PrefixCache::hold(std::span<const Hit> hits, std::vector<Held>& table) {
  const std::size_t first = table.size();
  // Two hits may lie in one piece: the later part is split off first, the earlier keeps the id.
  for (std::size_t i = hits.size(); i-- > 0;) {
    const Hit& hit = hits[i];
    PieceId id = hit.piece;
    if (hit.to < pieces_[id].to) split(id, hit.to);
    if (hit.from > pieces_[id].from) {
      split(id, hit.from);
      id = pieces_[id].rest;
    }
    if (pieces_[id].references++ == 0) unlink(id);
    table.push_back(Held{id, hit.blocks()});
  }
  std::reverse(table.begin() + static_cast<std::ptrdiff_t>(first), table.end());
  ++version_;
}

void PrefixCache::enter(const Stretch& content, std::vector<Held>& table) {
  ++version_;
  RunIndex::Ends* ends = index_.find(content.run);
  // Its own piece goes on, unless somebody entered the same content meanwhile.
  if (ends != nullptr && !table.empty() && table.back().piece == ends->last) {
    Piece& own = pieces_[ends->last];
    if (own.to == content.first && own.references == 1 && own.blocks() == table.back().blocks) {
      own.to += content.blocks;
      table.back().blocks += content.blocks;
      return;
    }
  }
  const PieceId id = make(content.run, content.first, content.first + content.blocks);
  pieces_[id].references = 1;
  if (ends == nullptr) {
    RunIndex::Ends& made = index_.insert(content.run);
    made.first = made.last = id;
  } else {
    pieces_[ends->last].later = id;
    ends->last = id;
  }
  table.push_back(Held{id, content.blocks});
}

std::int64_t PrefixCache::release(const Held& held) {
  if (held.piece == kNoPiece) {
    release_empty(held.blocks);
    return held.blocks;
  }
  parts_.clear();
  PieceId id = held.piece;
  for (std::int64_t left = held.blocks; left > 0; id = pieces_[id].rest) {
    parts_.push_back(id);
    left -= pieces_[id].blocks();
  }
  std::int64_t freed = 0;
  for (std::size_t i = parts_.size(); i-- > 0;) {
    Piece& p = pieces_[parts_[i]];
    if (--p.references > 0) continue;
    freed += p.blocks();
    append(parts_[i]);
  }
  return freed;
}

}  // namespace headroom
