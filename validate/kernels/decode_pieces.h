// How decode attention is cut into pieces for thread blocks.
#pragma once

#include <cstdint>
#include <span>

#include "validate/kernels/attention.h"

namespace headroom {

// Room for the pieces of any contexts of so many sequences.
std::int64_t most_decode_pieces(const AttentionShape& shape, std::int64_t sequences, std::int32_t num_sms);
// Pieces of about equal size, the longest first, so that no long context is left to run alone at the end. Fills
// `pieces`, whose size is most_decode_pieces(), to the end. Left pads are read like tokens, as under a mask.
void split_decode(const AttentionShape& shape, std::span<const std::int32_t> contexts, std::int32_t num_sms,
                  std::span<DecodePiece> pieces);

}  // namespace headroom
