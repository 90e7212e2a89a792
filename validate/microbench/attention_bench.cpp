// Attention: decode over paged and contiguous KV, prefill in one chunk, and eager prefill as three kernels. Blocks of a
// sequence are scattered; K and V rotate through the two halves of the arena.
#include <algorithm>
#include <memory>
#include <random>

#include "models/unequal_contexts.h"
#include "validate/kernels/attention.h"
#include "validate/kernels/decode_pieces.h"
#include "validate/kernels/elementwise.h"
#include "validate/microbench/bench_device.h"

namespace headroom {
namespace {

constexpr std::int64_t kElementBytes = 2;

AttentionShape shape_of(const Heads& heads) {
  return {Element::kBfloat16, static_cast<std::int32_t>(heads.q_heads), static_cast<std::int32_t>(heads.kv_heads),
          static_cast<std::int32_t>(heads.head_dim)};
}

// Sequences of so many tokens, in blocks of a pool in random order (block_size > 0) or in one range.
struct Sequences {
  DeviceBuffer tables, firsts, contexts, counts, first_rows, tiles;
  std::int64_t slots = 0, stride = 0, num_tiles = 0;
  std::int64_t block_size;

  Sequences(const BenchDevice& device, std::span<const std::int32_t> lengths, std::int64_t new_tokens,
            std::int64_t block)
      : block_size(block) {
    const auto batch = std::ssize(lengths);
    std::vector<std::int32_t> news, rows;
    std::vector<QueryTile> tile_list;
    for (std::int64_t s = 0; s < batch; ++s) {
      news.push_back(static_cast<std::int32_t>(new_tokens));
      rows.push_back(static_cast<std::int32_t>(s * new_tokens));
      for (std::int64_t r = 0; r < new_tokens; r += kQueryTile)
        tile_list.push_back({static_cast<std::int32_t>(s), static_cast<std::int32_t>(r)});
    }
    contexts = on_device(lengths, device.stream());
    counts = device.upload(news);
    first_rows = device.upload(rows);
    num_tiles = static_cast<std::int64_t>(tile_list.size());
    tiles = on_device(std::span<const QueryTile>(tile_list), device.stream());
    if (block == 0) {
      std::vector<std::int64_t> starts;
      for (const std::int32_t length : lengths) {
        starts.push_back(slots);
        slots += length;
      }
      firsts = on_device(std::span<const std::int64_t>(starts), device.stream());
    } else {
      stride = (*std::max_element(lengths.begin(), lengths.end()) + block - 1) / block;
      std::vector<std::int32_t> blocks;  // used ones, in random order
      for (const std::int32_t length : lengths) slots += (length + block - 1) / block * block;
      blocks.resize(static_cast<std::size_t>(slots / block));
      std::iota(blocks.begin(), blocks.end(), 0);
      std::shuffle(blocks.begin(), blocks.end(), std::mt19937(1));
      std::vector<std::int32_t> rows_of_blocks(static_cast<std::size_t>(batch * stride));
      auto next = blocks.begin();
      for (std::int64_t s = 0; s < batch; ++s) {
        const auto count = (lengths[static_cast<std::size_t>(s)] + block - 1) / block;
        std::copy_n(next, count, rows_of_blocks.begin() + s * stride);
        next += count;
      }
      tables = device.upload(rows_of_blocks);
    }
    // The vectors die here: the copies must be done.
    static_cast<void>(device.upload({0}));
  }

  KvView view(const void* keys, const void* values) const {
    KvView kv;
    kv.keys = keys;
    kv.values = values;
    if (block_size == 0) {
      kv.first_slots = firsts.as<std::int64_t>();
    } else {
      kv.block_tables = tables.as<std::int32_t>();
      kv.table_stride = stride;
      kv.block_size = static_cast<std::int32_t>(block_size);
    }
    return kv;
  }
};

std::vector<std::int32_t> equal_lengths(std::int64_t batch, std::int64_t tokens) {
  return std::vector<std::int32_t>(static_cast<std::size_t>(batch), static_cast<std::int32_t>(tokens));
}
// In an order that has nothing to do with length.
std::vector<std::int32_t> unequal_lengths(std::int64_t batch, std::int64_t mean) {
  const std::vector<std::int64_t> contexts = unequal_contexts(batch, mean);
  std::vector<std::int32_t> lengths(contexts.begin(), contexts.end());
  std::shuffle(lengths.begin(), lengths.end(), std::mt19937(2));
  return lengths;
}

void add_decode(const DecodePoint& p, Family family, BenchDevice& device) {
  struct State {
    std::unique_ptr<Sequences> sequences;
    DeviceBuffer pieces, parts, arrivals;
  };
  auto state = std::make_shared<State>();
  const AttentionShape shape = shape_of(p.heads);
  const std::int32_t num_sms = device.facts().num_sms;
  const std::int64_t num_pieces = most_decode_pieces(shape, p.batch, num_sms);
  BenchDevice::Work work;
  work.point.family = family;
  work.point.label = "bfloat16";
  work.point.key = {p.heads.head_dim, p.heads.q_heads, p.heads.kv_heads, p.batch, p.context};
  if (family == Family::kDecodeLayout) work.point.key.push_back(p.block_size);
  work.cold = true;
  work.setup = [=, &device] {
    device.fill_for(GemmType::kBfloat16);
    const std::vector<std::int32_t> contexts =
        family == Family::kUnequalDecode ? unequal_lengths(p.batch, p.context) : equal_lengths(p.batch, p.context);
    state->sequences = std::make_unique<Sequences>(device, contexts, 1, p.block_size);
    std::vector<DecodePiece> pieces(static_cast<std::size_t>(num_pieces));
    split_decode(shape, contexts, num_sms, pieces);
    state->pieces = on_device(std::span<const DecodePiece>(pieces), device.stream());
    wait_for(device.stream());
    state->parts = DeviceBuffer(decode_parts_bytes(shape, num_pieces));
    state->arrivals = DeviceBuffer(p.batch * shape.kv_heads * 4);
    set_zero(state->arrivals.data(), state->arrivals.bytes(), device.stream());
  };
  work.kernel = [=, &device](Stream stream, std::int64_t i) {
    const std::int64_t bytes = state->sequences->slots * p.heads.kv_heads * p.heads.head_dim * kElementBytes;
    DecodeAttention a;
    a.shape = shape;
    a.kv = state->sequences->view(device.rotated(i, bytes, 0, 2), device.rotated(i, bytes, 1, 2));
    a.queries = device.inputs();
    a.query_stride = (p.heads.q_heads + 2 * p.heads.kv_heads) * p.heads.head_dim;
    a.output = device.outputs();
    a.contexts = state->sequences->contexts.as<std::int32_t>();
    a.sequences = p.batch;
    a.pieces = state->pieces.as<DecodePiece>();
    a.num_pieces = num_pieces;
    a.parts = state->parts.as<float>();
    a.arrivals = state->arrivals.as<std::uint32_t>();
    launch(a, stream);
  };
  device.add(std::move(work));
}

void add_prefill(const PrefillPoint& p, BenchDevice& device) {
  auto sequences = std::make_shared<std::unique_ptr<Sequences>>();
  BenchDevice::Work work;
  work.point.family = Family::kPrefillAttention;
  work.point.label = "bfloat16";
  work.point.key = {p.heads.head_dim, p.heads.q_heads, p.heads.kv_heads, p.batch, p.new_tokens, p.past};
  work.cold = p.past > 0;  // K and V of the chunk itself have just been written
  work.setup = [=, &device] {
    device.fill_for(GemmType::kBfloat16);
    *sequences = std::make_unique<Sequences>(device, equal_lengths(p.batch, p.new_tokens + p.past), p.new_tokens, 16);
  };
  work.kernel = [=, &device](Stream stream, std::int64_t i) {
    const Sequences& s = **sequences;
    const std::int64_t bytes = s.slots * p.heads.kv_heads * p.heads.head_dim * kElementBytes;
    PrefillAttention a;
    a.shape = shape_of(p.heads);
    a.kv = s.view(device.rotated(i, bytes, 0, 2), device.rotated(i, bytes, 1, 2));
    a.queries = device.inputs();
    a.query_stride = p.heads.q_heads * p.heads.head_dim;
    a.output = device.outputs();
    a.tiles = s.tiles.as<QueryTile>();
    a.num_tiles = s.num_tiles;
    a.first_rows = s.first_rows.as<std::int32_t>();
    a.new_tokens = s.counts.as<std::int32_t>();
    a.contexts = s.contexts.as<std::int32_t>();
    launch(a, stream);
  };
  device.add(std::move(work));
}

// Scores of all heads in memory: a product, the softmax, a product. K and V are repeated to all heads before.
void add_eager(const PrefillPoint& p, BenchDevice& device) {
  const std::int64_t heads = p.heads.q_heads, d = p.heads.head_dim, n = p.new_tokens;
  BenchDevice::Work work;
  work.point.family = Family::kEagerAttention;
  work.point.label = "bfloat16";
  work.point.key = {d, heads, p.heads.kv_heads, p.batch, n, p.past};
  work.setup = [&device] { device.fill_for(GemmType::kBfloat16); };
  work.kernel = [=, &device](Stream stream, std::int64_t i) {
    const std::int64_t bytes = heads * n * d * kElementBytes;
    void* keys = device.rotated(i, bytes, 0, 4);
    void* values = device.rotated(i, bytes, 1, 4);
    if (p.heads.kv_heads < heads) {
      copy_stream(keys, device.rotated(i, bytes, 2, 4), bytes, stream);
      copy_stream(values, device.rotated(i, bytes, 3, 4), bytes, stream);
    }
    Gemm& gemm = device.gemm();
    gemm.launch(GemmShape{GemmType::kBfloat16, n, n, d, false}, Gemm::Strided{heads, n * d, n * d, n * n, true},
                device.inputs(), keys, device.outputs(), stream);
    launch(CausalSoftmax{Element::kBfloat16, device.outputs(), 0.1f, heads, n, n}, stream);
    gemm.launch(GemmShape{GemmType::kBfloat16, n, d, n, false}, Gemm::Strided{heads, n * n, n * d, n * d, false},
                device.outputs(), values, device.inputs(), stream);
  };
  device.add(std::move(work));
}

}  // namespace

void add_attention(const MeasurementPlan& plan, BenchDevice& device) {
  for (const DecodePoint& p : plan.decodes) add_decode(p, Family::kDecodeAttention, device);
  for (const DecodePoint& p : plan.unequal) add_decode(p, Family::kUnequalDecode, device);
  for (const DecodePoint& p : plan.layouts) add_decode(p, Family::kDecodeLayout, device);
  for (const PrefillPoint& p : plan.prefills) add_prefill(p, device);
  for (const PrefillPoint& p : plan.eager_prefills) add_eager(p, device);
}

}  // namespace headroom
