// Products y[rows, n] = x[rows, k] w[n, k]^T by cuBLASLt, weights stored as PyTorch stores a Linear's.
//
// The algorithm is cuBLASLt's first choice for the exact shape, or after tune() the fastest of its first choices:
// beyond 128 rows the first is 20 % slower than the next for one shape in ten (H100). Remembered by shape; asking takes
// tens of microseconds of host time, so callers that are timed ask before.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "validate/kernels/element.h"

namespace headroom {

enum class GemmType { kFloat32, kTf32, kFloat16, kBfloat16, kFp8, kInt8 };
constexpr std::string_view name_of(GemmType type) {
  constexpr std::string_view kNames[] = {"float32", "tf32", "float16", "bfloat16", "fp8", "int8"};
  return kNames[static_cast<std::size_t>(type)];
}
// Bytes of one element of x and w.
constexpr int bytes_of(GemmType type) {
  const bool halves = type == GemmType::kFloat16 || type == GemmType::kBfloat16;
  return type == GemmType::kFp8 || type == GemmType::kInt8 ? 1 : halves ? 2 : 4;
}
// Of y: fp8 gives bfloat16, int8 gives int32.
constexpr int result_bytes_of(GemmType type) {
  return type == GemmType::kFp8 ? 2 : type == GemmType::kInt8 ? 4 : bytes_of(type);
}
GemmType gemm_type(Element element);

struct GemmShape {
  GemmType type = GemmType::kBfloat16;
  std::int64_t rows = 0, n = 0, k = 0;
  bool bias = false;  // y += bias[n]
  friend auto operator<=>(const GemmShape&, const GemmShape&) = default;
};

class Gemm {
 public:
  Gemm();
  ~Gemm();
  Gemm(const Gemm&) = delete;

  // Whether cuBLASLt has an algorithm for the shape on this device.
  bool prepare(const GemmShape& shape);
  // Times cuBLASLt's first choices on these operands, and keeps the fastest; of shapes where its first is as good,
  // that.
  void tune(const GemmShape& shape, const void* x, const void* w, void* y, Stream stream);
  // Throws std::runtime_error where prepare() says no.
  void launch(const GemmShape& shape, const void* x, const void* w, const void* bias, void* y, Stream stream);

  // As many products as `count` in one launch, matrices apart by the given strides (elements): eager attention.
  // transposed: w is [n, k] as above; else w is [k, n].
  struct Strided {
    std::int64_t count = 1, x = 0, w = 0, y = 0;
    bool transposed = true;
  };
  void launch(const GemmShape& shape, const Strided& strided, const void* x, const void* w, void* y, Stream stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
