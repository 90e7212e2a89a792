// Element types that the kernels are compiled for, and the stream they run on, without CUDA's headers.
#pragma once

#include <cstdint>

struct CUstream_st;

namespace headroom {

using Stream = CUstream_st*;  // the same type as cudaStream_t

enum class Element { kFloat16, kBfloat16 };

}  // namespace headroom
