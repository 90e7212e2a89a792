// Copies of KV blocks between a GPU and pinned host memory (SEMANTICS 9.8):
//
//   t = blocks * (pieces * t_copy + bytes / link)
//
// pieces: 2 a layer where K and V of each layer lie apart, 1 where a block of all layers is one stretch of memory (vLLM
// since 0.12). One direction; the other one is a link of its own.
#pragma once

#include <cstdint>

#include "models/units.h"

namespace headroom {

struct HostCopy {
  Bytes block;  // of all layers on one GPU
  std::int64_t pieces = 1;
  Seconds per_piece;
  BytesPerSecond link;

  Seconds time(std::int64_t blocks) const {
    return static_cast<double>(blocks) * (static_cast<double>(pieces) * per_piece + block / link);
  }
};

}  // namespace headroom
