// Turns CUDA's return codes into exceptions. For files that include CUDA's headers.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace headroom {

inline void check(cudaError_t code) {
  if (code != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(code));
}

}  // namespace headroom
