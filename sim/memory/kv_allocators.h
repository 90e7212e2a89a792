// The makers behind the table of allocators.
#pragma once

#include <memory>

#include "sim/memory/kv_allocator.h"

namespace headroom {

std::unique_ptr<KvAllocator> make_paged(const KvAllocatorOptions& options);
std::unique_ptr<KvAllocator> make_contiguous_max(const KvAllocatorOptions& options);
std::unique_ptr<KvAllocator> make_contiguous_pow2(const KvAllocatorOptions& options);
std::unique_ptr<KvAllocator> make_contiguous_exact(const KvAllocatorOptions& options);
std::unique_ptr<KvAllocator> make_dynamic(const KvAllocatorOptions& options);

}  // namespace headroom
