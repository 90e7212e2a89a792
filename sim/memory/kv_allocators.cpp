#include "sim/memory/kv_allocators.h"

#include <array>

namespace headroom {
namespace {

constexpr std::array kAllocators{
    KvAllocatorEntry{"contiguous-max", "one range for the longest a request may become", make_contiguous_max},
    KvAllocatorEntry{"contiguous-pow2", "one range, output rounded up to a power of two", make_contiguous_pow2},
    KvAllocatorEntry{"contiguous-exact", "one range of the request's true length (an oracle)", make_contiguous_exact},
    KvAllocatorEntry{"dynamic", "Hugging Face's growing cache, copied at every step", make_dynamic},
    KvAllocatorEntry{"paged", "blocks on demand, shared by prefix", make_paged},
};

}  // namespace

std::span<const KvAllocatorEntry> kv_allocators() {
  return kAllocators;
}

}  // namespace headroom
