// What is measured: the points of every family, made from the shapes of the shipped models. Needs no GPU.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/model_shape.h"
#include "validate/kernels/collective.h"
#include "validate/kernels/gemm.h"

namespace headroom {

struct Heads {
  std::int64_t head_dim = 0, q_heads = 0, kv_heads = 0;
  friend auto operator<=>(const Heads&, const Heads&) = default;
};

struct DecodePoint {
  Heads heads;
  std::int64_t batch = 0, context = 0;
  std::int64_t block_size = 16;  // 0: contiguous
};

struct PrefillPoint {
  Heads heads;
  std::int64_t batch = 0, new_tokens = 0, past = 0;
};

enum class StreamingKernel { kNorm, kRope, kSiluMul, kKvWrite, kEmbedding, kGrowCache, kCopy, kRead };
std::string_view name_of(StreamingKernel kernel);
struct StreamingPoint {
  StreamingKernel kernel = StreamingKernel::kNorm;
  std::int64_t bytes = 0;  // read and written
};

struct SamplingPoint {
  std::int64_t rows = 0, vocabulary = 0;
};

struct CopyPoint {  // between host and device
  bool to_device = true, pinned = true;
  std::int64_t bytes = 0, pieces = 1;  // of equal size, one call each
};

struct CollectivePoint {
  Collective kind = Collective::kAllReduce;
  bool in_graph = true;  // else launched one by one
  std::int32_t gpus = 2;
  std::int64_t bytes = 0;  // as Communicator::launch() counts them
  friend bool operator==(const CollectivePoint&, const CollectivePoint&) = default;
};
std::string label_of(const CollectivePoint& point);

struct MeasurementPlan {
  std::vector<GemmShape> gemms;
  std::vector<DecodePoint> decodes;
  std::vector<DecodePoint> unequal;  // contexts of models/unequal_contexts.h
  std::vector<DecodePoint> layouts;  // other block sizes, and contiguous
  std::vector<PrefillPoint> prefills;
  std::vector<PrefillPoint> eager_prefills;
  std::vector<StreamingPoint> streams;
  std::vector<SamplingPoint> samplings;
  std::vector<CopyPoint> copies;
  std::vector<CollectivePoint> collectives;
};

// `memory_bytes` of the device bound the largest operands; `fp8`: whether it multiplies 8-bit floats.
MeasurementPlan plan_measurements(std::span<const ModelShape> models, std::int64_t memory_bytes, bool fp8, bool quick);
// Between 2, 4 and 8 GPUs, as far as a host with so many has them: none with one.
std::vector<CollectivePoint> plan_collectives(std::int32_t gpus, std::int64_t memory_bytes, bool quick);

}  // namespace headroom
