// The card runs two blocks on each multiprocessor: a round is what runs at once. Contexts are cut so that all pieces
// run in one round, or so small that many short ones follow the long ones in a second; whichever is estimated to end
// first.
#include "validate/kernels/decode_pieces.h"

#include <algorithm>
#include <stdexcept>

#include "models/units.h"

namespace headroom {
namespace {

constexpr std::int64_t kWarps = 4;                // of a block: each takes a tile in turn
constexpr std::int64_t kLeastTiles = 8 * kWarps;  // of a piece: on an H100 a cut costs what 350 tokens take
constexpr std::int64_t kStart = 2 * kWarps;       // tiles that take as long as a piece's start and end

// Pieces for each KV head in one round.
std::int64_t round_of(const AttentionShape& shape, std::int32_t num_sms) {
  return std::max<std::int64_t>(1, 2 * num_sms / shape.kv_heads);
}

}  // namespace

std::int64_t most_decode_pieces(const AttentionShape& shape, std::int64_t sequences, std::int32_t num_sms) {
  return std::min(sequences + 2 * round_of(shape, num_sms), sequences * kMostDecodeParts);
}

void split_decode(const AttentionShape& shape, std::span<const std::int32_t> contexts, std::int32_t num_sms,
                  std::span<DecodePiece> pieces) {
  const auto parts_of = [](std::int64_t tiles, std::int64_t size) {
    return std::min(ceil_div(tiles, size), kMostDecodeParts);
  };
  const auto each_of = [&](std::int64_t tiles, std::int64_t size) {
    return round_up(ceil_div(tiles, parts_of(tiles, size)), kWarps);
  };
  std::int64_t all = 0, sequences = 0;
  for (const std::int32_t context : contexts) {
    all += ceil_div(context, kDecodeTile);
    sequences += context > 0;
  }
  const std::int64_t round = round_of(shape, num_sms);
  // When pieces of at most `size` tiles have run: together if they fit in a round, else with an uneven end.
  const auto end_of = [&](std::int64_t size) {
    std::int64_t count = 0, longest = 0;
    for (const std::int32_t context : contexts) {
      const std::int64_t tiles = ceil_div(context, kDecodeTile);
      if (tiles == 0) continue;
      count += parts_of(tiles, size);
      longest = std::max(longest, each_of(tiles, size));
    }
    if (count <= round) return longest + kStart;
    return std::max(longest + kStart, (all + count * kStart) / round + longest / 2);
  };
  const auto size_of = [&](std::int64_t rounds) {
    return std::max(kLeastTiles, round_up(ceil_div(all, rounds * round), kWarps));
  };
  std::int64_t size = size_of(2);
  if (sequences <= round) {
    const auto count = [&](std::int64_t of_size) {
      std::int64_t sum = 0;
      for (const std::int32_t context : contexts) sum += parts_of(ceil_div(context, kDecodeTile), of_size);
      return sum;
    };
    std::int64_t whole = size_of(1);
    while (count(whole) > round) whole += kWarps;
    if (end_of(whole) <= end_of(size)) size = whole;
  }
  std::size_t made = 0;
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    const std::int64_t tiles = ceil_div(contexts[i], kDecodeTile);
    if (tiles == 0) continue;
    const std::int64_t each = each_of(tiles, size);
    const auto parts = static_cast<std::int32_t>(ceil_div(tiles, each));
    const auto first = static_cast<std::int32_t>(made);
    for (std::int32_t part = 0; part < parts; ++part) {
      if (made == pieces.size()) throw std::logic_error("decode attention: more pieces than there is room for");
      const auto from = part * static_cast<std::int32_t>(each);
      const auto to = std::min(from + static_cast<std::int32_t>(each), static_cast<std::int32_t>(tiles));
      pieces[made++] = DecodePiece{static_cast<std::int32_t>(i), from, to, first, part, parts};
    }
  }
  std::stable_sort(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(made),
                   [](const DecodePiece& a, const DecodePiece& b) { return a.to - a.from > b.to - b.from; });
  std::fill(pieces.begin() + static_cast<std::ptrdiff_t>(made), pieces.end(), DecodePiece{});
}

}  // namespace headroom
