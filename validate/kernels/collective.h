// Kinds of collectives between GPUs, by the names that tables and reports have for them. Needs no GPU.
#pragma once

#include <cstddef>
#include <string_view>

namespace headroom {

enum class Collective { kAllReduce, kAllGather, kReduceScatter, kAllToAll, kSendReceive };

constexpr std::string_view name_of(Collective kind) {
  constexpr std::string_view kNames[] = {"all-reduce", "all-gather", "reduce-scatter", "all-to-all", "send-receive"};
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace headroom
