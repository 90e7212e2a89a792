// Element types of weights, activations and KV cache, and how many bytes they take.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace headroom {

// kFp8 stands for E4M3 and E5M2, which cost the same. kTf32: stored as float32, multiplied with 10 bits of mantissa.
enum class DType { kFloat32, kFloat16, kBfloat16, kFp8, kInt8, kTf32 };

struct DTypeEntry {
  DType dtype;
  std::string_view name;  // Hugging Face's spelling (torch_dtype); fp8 and int8 as vLLM writes them
  int bytes;
};

inline constexpr std::array kDTypes{
    DTypeEntry{DType::kFloat32, "float32", 4},   DTypeEntry{DType::kFloat16, "float16", 2},
    DTypeEntry{DType::kBfloat16, "bfloat16", 2}, DTypeEntry{DType::kFp8, "fp8", 1},
    DTypeEntry{DType::kInt8, "int8", 1},         DTypeEntry{DType::kTf32, "tf32", 4}};

constexpr int bytes_of(DType dtype) {
  return kDTypes[static_cast<std::size_t>(dtype)].bytes;
}
constexpr std::string_view name_of(DType dtype) {
  return kDTypes[static_cast<std::size_t>(dtype)].name;
}
constexpr std::optional<DType> dtype_named(std::string_view name) {
  for (const DTypeEntry& entry : kDTypes)
    if (entry.name == name) return entry.dtype;
  return std::nullopt;
}

// How weights are stored, SEMANTICS 7.1. Embeddings, LM head, norms and MoE routers keep the model's dtype.
enum class WeightQuantization { kNone, kInt8, kFp8, kFp8Block, kAwq, kGptq, kMarlin, kNf4, kMxfp4, kNvfp4 };

}  // namespace headroom
