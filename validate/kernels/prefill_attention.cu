// Causal attention of prompt chunks: a thread block takes 64 query rows of one head through the keys it sees, 64 at a
// time; while a tile of keys and values is worked on, the next is on its way.
#include <cmath>
#include <stdexcept>

#include "validate/kernels/attention.h"
#include "validate/kernels/check.h"
#include "validate/kernels/flash_tiles.cuh"

namespace headroom {
namespace {

constexpr int kWarps = kQueryTile / 16;
constexpr int kKeys = 64;

struct PrefillParams {
  const void *keys, *values, *queries;
  void* output;
  const QueryTile* tiles;
  const std::int32_t *tables, *first_rows, *new_tokens, *contexts, *key_begins;
  const std::int64_t* first_slots;
  std::int64_t table_stride, query_stride;
  std::int32_t shift, q_heads, kv_heads, group;
  float scale_log2;
};

template <class T, int HEAD_DIM>
__global__ void __launch_bounds__(kWarps * 32) prefill_kernel(const PrefillParams p) {
  extern __shared__ __align__(128) unsigned char shared[];
  constexpr int kTileBytes = kKeys * HEAD_DIM * 2;
  constexpr int kPieces = HEAD_DIM / 8;
  // Long tiles first: the last rows of a prompt see the most keys.
  const QueryTile tile = p.tiles[gridDim.x - 1 - blockIdx.x];
  const int head = blockIdx.y, kv_head = head / p.group;
  const int context = p.contexts[tile.sequence], rows_of_chunk = p.new_tokens[tile.sequence];
  const int past = context - rows_of_chunk;
  const int begin = p.key_begins == nullptr ? 0 : p.key_begins[tile.sequence];
  const std::int64_t first_row = p.first_rows[tile.sequence] + tile.first_row;
  const int rows_here = min(kQueryTile, rows_of_chunk - tile.first_row);
  const int seen_end = past + tile.first_row + rows_here;  // keys that the last row sees

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const flash::SlotMap map{p.tables == nullptr ? nullptr : p.tables + tile.sequence * p.table_stride,
                           p.first_slots == nullptr ? 0 : p.first_slots[tile.sequence], p.shift};
  const T* keys = static_cast<const T*>(p.keys) + kv_head * HEAD_DIM;
  const T* values = static_cast<const T*>(p.values) + kv_head * HEAD_DIM;
  const std::int64_t slot_stride = static_cast<std::int64_t>(p.kv_heads) * HEAD_DIM;
  const std::uint32_t buffers = flash::shared_address(shared);

  flash::WarpRows<T, HEAD_DIM> rows;
  const T* queries = static_cast<const T*>(p.queries) + head * HEAD_DIM;
  rows.start([&](int r) {
    const int row = warp * 16 + r;
    return row < rows_here ? queries + (first_row + row) * p.query_stride : nullptr;
  });

  const auto copy = [&](int token, int stage) {
    const std::uint32_t k = buffers + stage * 2 * kTileBytes, v = k + kTileBytes;
#pragma unroll
    for (int i = 0; i < kKeys * kPieces / (kWarps * 32); ++i) {
      const int piece = i * kWarps * 32 + static_cast<int>(threadIdx.x), row = piece / kPieces,
                column = piece % kPieces;
      const bool valid = token + row < seen_end;
      const std::int64_t offset = map.slot(valid ? token + row : 0) * slot_stride + column * 8;
      flash::copy_16(k + flash::tile_offset<HEAD_DIM>(row, column), keys + offset, valid);
      flash::copy_16(v + flash::tile_offset<HEAD_DIM>(row, column), values + offset, valid);
    }
    flash::commit_copies();
  };

  const int warp_first = past + tile.first_row + warp * 16;  // last key that the warp's first row sees
  copy(0, 0);
  int stage = 0;
  for (int token = 0; token < seen_end; token += kKeys) {
    flash::wait_copies<0>();
    __syncthreads();
    if (token + kKeys < seen_end) copy(token + kKeys, stage ^ 1);
    const std::uint32_t k = buffers + stage * 2 * kTileBytes;
    if (token < begin || token + kKeys - 1 > warp_first) {
      if (token <= warp_first + 15)
        rows.template take<kKeys, true>(k, k + kTileBytes, 0, p.scale_log2, [&](int half, int j) {
          return token + j >= begin && token + j <= warp_first + lane / 4 + half * 8;
        });
    } else {
      rows.template take<kKeys, false>(k, k + kTileBytes, 0, p.scale_log2, [](int, int) { return true; });
    }
    stage ^= 1;
  }
  rows.finish();

  T* output = static_cast<T*>(p.output);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = warp * 16 + lane / 4 + half * 8;
    if (row >= rows_here) continue;
    const float scale = rows.sum[half] > 0 ? 1.f / rows.sum[half] : 0.f;
    T* to = output + ((first_row + row) * p.q_heads + head) * HEAD_DIM + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < HEAD_DIM / 8; ++n)
      *reinterpret_cast<std::uint32_t*>(to + n * 8) =
          flash::Arithmetic<T>::pack(rows.out[n][half * 2] * scale, rows.out[n][half * 2 + 1] * scale);
  }
}

template <class T, int HEAD_DIM>
void launch_prefill(const PrefillParams& p, const PrefillAttention& a, cudaStream_t stream) {
  constexpr int kBytes = 2 * 2 * kKeys * HEAD_DIM * 2;
  static const bool raised = [] {
    check(cudaFuncSetAttribute(prefill_kernel<T, HEAD_DIM>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
    return true;
  }();
  (void)raised;
  const dim3 grid(static_cast<unsigned>(a.num_tiles), static_cast<unsigned>(a.shape.q_heads));
  prefill_kernel<T, HEAD_DIM><<<grid, kWarps * 32, kBytes, stream>>>(p);
  check(cudaGetLastError());
}

}  // namespace

void launch(const PrefillAttention& a, Stream stream) {
  if (const char* need = why_unserved(a.shape)) throw std::invalid_argument(std::string("prefill attention: ") + need);
  if (a.num_tiles == 0) return;
  int shift = 0;
  while ((1 << shift) < a.kv.block_size) ++shift;
  const PrefillParams p{a.kv.keys,
                        a.kv.values,
                        a.queries,
                        a.output,
                        a.tiles,
                        a.kv.block_tables,
                        a.first_rows,
                        a.new_tokens,
                        a.contexts,
                        a.key_begins,
                        a.kv.first_slots,
                        a.kv.table_stride,
                        a.query_stride,
                        shift,
                        a.shape.q_heads,
                        a.shape.kv_heads,
                        a.shape.q_heads / a.shape.kv_heads,
                        static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(a.shape.head_dim)))};
  const bool half = a.shape.element == Element::kFloat16;
  if (a.shape.head_dim == 128) {
    half ? launch_prefill<__half, 128>(p, a, stream) : launch_prefill<__nv_bfloat16, 128>(p, a, stream);
  } else {
    half ? launch_prefill<__half, 64>(p, a, stream) : launch_prefill<__nv_bfloat16, 64>(p, a, stream);
  }
}

}  // namespace headroom
