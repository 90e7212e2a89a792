// The card runs two blocks on each multiprocessor. Where sequences times KV heads do not fill it, contexts are cut so
// that all pieces run in one round; where they do, only contexts that are long beside the others are cut: the work is
// then more than a round, and its end is even when no piece is larger than half of what a block has to do on average.
#include "validate/kernels/decode_pieces.h"

#include <algorithm>
#include <stdexcept>

#include "models/units.h"

namespace headroom {
namespace {

constexpr std::int64_t kWarps = 4;                // of a block: each takes a tile in turn
constexpr std::int64_t kLeastTiles = 8 * kWarps;  // of a piece: on an H100 a cut costs what 350 tokens take

// Pieces for each KV head in one round.
std::int64_t round_of(const AttentionShape& shape, std::int32_t num_sms) {
  return std::max<std::int64_t>(1, 2 * num_sms / shape.kv_heads);
}

}  // namespace

std::int64_t most_decode_pieces(const AttentionShape& shape, std::int64_t sequences, std::int32_t num_sms) {
  const std::int64_t round = round_of(shape, num_sms);
  return sequences <= round ? std::min(round, sequences * kMostDecodeParts) : sequences + 2 * round;
}

void split_decode(const AttentionShape& shape, std::span<const std::int32_t> contexts,
                  std::span<const std::int32_t> begins, std::int32_t num_sms, std::span<DecodePiece> pieces) {
  const auto tiles_of = [&](std::size_t i) -> std::int64_t {
    if (contexts[i] == 0) return 0;
    return ceil_div(contexts[i], kDecodeTile) - (begins.empty() ? 0 : begins[i] / kDecodeTile);
  };
  const auto parts_of = [](std::int64_t tiles, std::int64_t size) {
    return std::min(ceil_div(tiles, size), kMostDecodeParts);
  };
  std::int64_t all = 0, sequences = 0;
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    all += tiles_of(i);
    sequences += contexts[i] > 0;
  }
  const std::int64_t round = round_of(shape, num_sms);
  const std::int64_t rounds = sequences <= round ? 1 : 2;
  std::int64_t size = std::max(kLeastTiles, round_up(ceil_div(all, rounds * round), kWarps));
  if (rounds == 1) {
    const auto count = [&](std::int64_t of_size) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < contexts.size(); ++i) sum += parts_of(tiles_of(i), of_size);
      return sum;
    };
    while (count(size) > round) size += kWarps;
  }
  std::size_t made = 0;
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    const std::int64_t tiles = tiles_of(i);
    if (tiles == 0) continue;
    const std::int64_t each = round_up(ceil_div(tiles, parts_of(tiles, size)), kWarps);
    const auto parts = static_cast<std::int32_t>(ceil_div(tiles, each));
    const auto start = static_cast<std::int32_t>(begins.empty() ? 0 : begins[i] / kDecodeTile);
    const auto first = static_cast<std::int32_t>(made);
    for (std::int32_t part = 0; part < parts; ++part) {
      if (made == pieces.size()) throw std::logic_error("decode attention: more pieces than there is room for");
      const auto from = start + part * static_cast<std::int32_t>(each);
      const auto to = std::min(from + static_cast<std::int32_t>(each), start + static_cast<std::int32_t>(tiles));
      pieces[made++] = DecodePiece{static_cast<std::int32_t>(i), from, to, first, part, parts};
    }
  }
  std::stable_sort(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(made),
                   [](const DecodePiece& a, const DecodePiece& b) { return a.to - a.from > b.to - b.from; });
  std::fill(pieces.begin() + static_cast<std::ptrdiff_t>(made), pieces.end(), DecodePiece{});
}

}  // namespace headroom
