# The CUDA Toolkit: where it is, and for which cards to compile. A single one, for quick builds:
#   cmake --preset cuda -DCMAKE_CUDA_ARCHITECTURES=90
# or `native` on the machine with the card.
if(NOT DEFINED CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS /usr/local/cuda/bin)
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 86 89 90)
endif()
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
# NCCL, for collectives between GPUs: optional. Where it is elsewhere than in the system's folders, as NVIDIA's Python
# wheel is, add its folder to CMAKE_PREFIX_PATH.
find_path(NCCL_INCLUDE nccl.h)
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2)
if(NOT NCCL_INCLUDE OR NOT NCCL_LIBRARY)
  message(STATUS "No NCCL: calibrate will measure no collectives")
endif()
