#include "validate/microbench/plan.h"

#include <algorithm>
#include <set>

#include "models/operator_graph.h"

namespace headroom {
namespace {

using Sizes = std::vector<std::int64_t>;

// Weight matrices [n, k] of the models on one GPU, as serving engines and as PyTorch's modules store them.
std::set<std::pair<std::int64_t, std::int64_t>> weight_shapes(std::span<const ModelShape> models) {
  std::set<std::pair<std::int64_t, std::int64_t>> shapes;
  for (const ModelShape& model : models)
    for (const ExecutionStyle style : {ExecutionStyle::kFused, ExecutionStyle::kEager}) {
      ForwardOptions options;
      options.style = style;
      for (const GemmOp& g : forward_ops(model, options).gemms)
        if (g.num_experts == 1 && g.n % 8 == 0 && g.k % 8 == 0) shapes.emplace(g.n, g.k);
    }
  return shapes;
}

std::set<Heads> heads_of(std::span<const ModelShape> models) {
  std::set<Heads> heads;
  for (const ModelShape& m : models) {
    if (m.latent_attention || (m.head_dim != 64 && m.head_dim != 128)) continue;
    if (m.num_heads % m.num_kv_heads != 0 || m.num_heads / m.num_kv_heads > 16) continue;
    heads.insert(Heads{m.head_dim, m.num_heads, m.num_kv_heads});
  }
  return heads;
}

// cuBLASLt chooses another kernel, and tiles fill the card otherwise, every few rows: close together where steps are.
Sizes rows_of_products() {
  Sizes rows{1, 2, 4, 8};
  for (const auto& [to, step] : {std::pair(512, 16), {1024, 32}, {2048, 64}, {4096, 256}, {8192, 1024}, {16384, 4096}})
    for (std::int64_t m = rows.back() / step * step + step; m <= to; m += step) rows.push_back(m);
  return rows;
}

// Past this many outputs a row a product is a language-model head, whose rows are sequences, not tokens.
constexpr std::int64_t kHeadColumns = 30'000;

void plan_gemms(std::span<const ModelShape> models, std::int64_t memory, bool fp8, bool quick, MeasurementPlan& plan) {
  const Sizes rows = quick ? Sizes{1, 4, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192} : rows_of_products();
  const auto shapes = weight_shapes(models);
  const auto add = [&](GemmType type, std::int64_t m, std::int64_t n, std::int64_t k) {
    if (n > kHeadColumns && m > 1024) return;
    if (n * k * bytes_of(type) > memory / 8 || m * n * result_bytes_of(type) > memory / 8) return;
    plan.gemms.push_back(GemmShape{type, m, n, k, false});
  };
  for (const auto& [n, k] : shapes)
    for (const std::int64_t m : rows) add(GemmType::kBfloat16, m, n, k);
  // Other types on a few shapes: an 8-billion-parameter Llama's four products.
  const std::pair<std::int64_t, std::int64_t> few[] = {{6144, 4096}, {4096, 4096}, {28672, 4096}, {4096, 14336}};
  for (const GemmType type :
       {GemmType::kFloat32, GemmType::kTf32, GemmType::kFloat16, GemmType::kInt8, GemmType::kFp8}) {
    if (type == GemmType::kFp8 && !fp8) continue;
    const std::int64_t most = type == GemmType::kFloat32 ? 2048 : 16384;
    for (const auto& [n, k] : few)
      for (const std::int64_t m : rows)
        if (m <= most && (!quick || n == 6144)) add(type, m, n, k);
  }
}

void plan_decodes(std::span<const ModelShape> models, std::int64_t memory, bool quick, MeasurementPlan& plan) {
  const Sizes batches =
      quick ? Sizes{1, 8, 32, 128} : Sizes{1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512};
  const Sizes contexts = quick ? Sizes{128, 1024, 4096} : Sizes{16,   64,   128,  192,  256,  384,   512,  768,
                                                                1024, 1536, 2048, 4096, 8192, 16384, 32768};
  const auto fits = [&](const DecodePoint& p) {
    const std::int64_t bytes = 4 * p.batch * p.context * p.heads.kv_heads * p.heads.head_dim;  // K and V, two each
    return bytes <= std::min<std::int64_t>(memory / 8, std::int64_t{6} << 30);
  };
  for (const Heads& heads : heads_of(models))
    for (const std::int64_t batch : batches)
      for (const std::int64_t context : contexts)
        if (const DecodePoint p{heads, batch, context, 16}; fits(p)) plan.decodes.push_back(p);
  const auto some = [&](std::int64_t batch, std::int64_t context) {
    return quick ? batch > 1 && context == 1024
                 : batch > 1 && batch <= 256 && context >= 64 && context <= 4096 && (context & (context - 1)) == 0;
  };
  for (const DecodePoint& p : plan.decodes)
    if (some(p.batch, p.context)) plan.unequal.push_back(p);
  for (const Heads& heads : {Heads{128, 32, 8}, Heads{64, 32, 8}})
    for (const std::int64_t block : {0, 8, 16, 32, 64, 128, 256})
      for (const std::int64_t batch : quick ? Sizes{32} : Sizes{1, 8, 32, 128})
        for (const std::int64_t context : quick ? Sizes{1024} : Sizes{256, 1024, 4096})
          plan.layouts.push_back(DecodePoint{heads, batch, context, block});
}

void plan_prefills(std::span<const ModelShape> models, bool quick, MeasurementPlan& plan) {
  const Sizes news = quick ? Sizes{32, 256, 2048} : Sizes{16,  32,  64,   128,  192,  256,  320,  384,  448,  512,  640,
                                                          768, 896, 1024, 1280, 1536, 2048, 3072, 4096, 8192, 16384};
  const Sizes pasts = quick ? Sizes{0, 2048} : Sizes{0, 256, 1024, 4096, 16384};
  for (const Heads& heads : heads_of(models)) {
    for (const std::int64_t past : pasts)
      for (const std::int64_t n : news)
        if (past == 0 || n <= 4096) plan.prefills.push_back(PrefillPoint{heads, 1, n, past});
    for (const std::int64_t batch : quick ? Sizes{8} : Sizes{2, 4, 8, 16})
      for (const std::int64_t n : news)
        if (batch * n <= 16384) plan.prefills.push_back(PrefillPoint{heads, batch, n, 0});
  }
  for (const Heads& heads : {Heads{128, 32, 32}, Heads{128, 32, 8}, Heads{64, 32, 8}})
    for (const std::int64_t n : quick ? Sizes{512} : Sizes{128, 256, 512, 1024, 2048, 4096})
      plan.eager_prefills.push_back(PrefillPoint{heads, 1, n, 0});
}

}  // namespace

std::string_view name_of(StreamingKernel kernel) {
  constexpr std::string_view kNames[] = {"norm",      "rope",       "silu-mul", "kv-write",
                                         "embedding", "grow-cache", "copy",     "read"};
  return kNames[static_cast<std::size_t>(kernel)];
}

MeasurementPlan plan_measurements(std::span<const ModelShape> models, std::int64_t memory_bytes, bool fp8, bool quick) {
  MeasurementPlan plan;
  plan_gemms(models, memory_bytes, fp8, quick, plan);
  plan_decodes(models, memory_bytes, quick, plan);
  plan_prefills(models, quick, plan);
  using enum StreamingKernel;
  for (const StreamingKernel kernel : {kNorm, kRope, kSiluMul, kKvWrite, kEmbedding, kGrowCache, kCopy, kRead})
    for (std::int64_t bytes = 1 << 13; bytes <= std::min<std::int64_t>(memory_bytes / 32, std::int64_t{1} << 30);
         bytes *= quick ? 8 : 2)
      plan.streams.push_back(StreamingPoint{kernel, bytes});
  for (const std::int64_t vocabulary : {32'000, 128'256})
    for (std::int64_t rows = 1; rows <= 256; rows *= quick ? 16 : 2)
      plan.samplings.push_back(SamplingPoint{rows, vocabulary});
  for (const bool to_device : {true, false})
    for (const bool pinned : {true, false}) {
      for (std::int64_t bytes = 1 << 12; bytes <= std::int64_t{1} << 28; bytes *= quick ? 16 : 4)
        plan.copies.push_back(CopyPoint{to_device, pinned, bytes, 1});
      for (const std::int64_t piece : {4096, 32'768, 262'144})
        plan.copies.push_back(CopyPoint{to_device, pinned, piece, quick ? 64 : 512});
    }
  return plan;
}

std::string label_of(const CollectivePoint& point) {
  return std::string(name_of(point.kind)) + (point.in_graph ? "" : "-launched");
}

std::vector<CollectivePoint> plan_collectives(std::int32_t gpus, std::int64_t memory_bytes, bool quick) {
  using enum Collective;
  std::vector<CollectivePoint> points;
  for (const std::int32_t ranks : {2, 4, 8}) {
    if (ranks > gpus) break;
    const auto add = [&](Collective kind, bool in_graph) {
      const std::int64_t most = std::min<std::int64_t>(memory_bytes / 16, std::int64_t{1} << 28);
      for (std::int64_t bytes = 1 << 10; bytes <= most; bytes *= quick ? 8 : 2)
        points.push_back(CollectivePoint{kind, in_graph, ranks, bytes});
    };
    for (const Collective kind : {kAllReduce, kAllGather, kReduceScatter, kAllToAll}) add(kind, true);
    add(kAllReduce, false);
    if (ranks == 2) add(kSendReceive, true);
  }
  return points;
}

}  // namespace headroom
