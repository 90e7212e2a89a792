// Decode attention: the query heads that share a KV head are the rows of one tile, so K and V are read once. Each warp
// of a thread block walks 16 keys at a time through buffers of its own, three deep, and the four warps and the splits
// are combined at the end by their maxima and sums.
#include <cmath>
#include <stdexcept>

#include "validate/kernels/attention.h"
#include "validate/kernels/check.h"
#include "validate/kernels/flash_tiles.cuh"

namespace headroom {
namespace {

constexpr int kWarps = 4;
constexpr int kKeys = kDecodeTile;  // of one warp at a time
constexpr int kStages = 3;          // buffers of a warp
constexpr int kRows = 16;           // most query heads of a KV head

struct DecodeParams {
  const void *keys, *values, *queries;
  void* output;
  const DecodePiece* pieces;
  const std::int32_t *tables, *contexts, *key_begins;
  const std::int64_t* first_slots;
  std::int64_t table_stride, query_stride;
  std::int32_t shift, q_heads, kv_heads, group;
  float scale_log2;
  float* parts;
  std::uint32_t* arrivals;
};

template <class T>
__device__ T rounded(float x);
template <>
__device__ __half rounded<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __nv_bfloat16 rounded<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

template <int HEAD_DIM>
constexpr int kPartFloats = HEAD_DIM + 2;  // one split's output, maximum and sum of one query head

template <class T, int HEAD_DIM>
__global__ void __launch_bounds__(kWarps * 32) decode_kernel(const DecodeParams p) {
  extern __shared__ __align__(128) unsigned char shared[];
  constexpr int kTileBytes = kKeys * HEAD_DIM * 2;
  constexpr int kPieces = HEAD_DIM / 8;
  const int head = blockIdx.x;
  const DecodePiece piece = p.pieces[blockIdx.y];
  const int sequence = piece.sequence;
  if (sequence < 0) return;
  const int context = p.contexts[sequence];
  const int begin = p.key_begins == nullptr ? 0 : p.key_begins[sequence];
  const int from = piece.from, to = piece.to, split = piece.part, used = piece.parts;

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const flash::SlotMap map{p.tables == nullptr ? nullptr : p.tables + sequence * p.table_stride,
                           p.first_slots == nullptr ? 0 : p.first_slots[sequence], p.shift};
  const T* keys = static_cast<const T*>(p.keys) + head * HEAD_DIM;
  const T* values = static_cast<const T*>(p.values) + head * HEAD_DIM;
  const std::int64_t slot_stride = static_cast<std::int64_t>(p.kv_heads) * HEAD_DIM;
  const std::uint32_t buffers = flash::shared_address(shared) + warp * kStages * 2 * kTileBytes;

  flash::WarpRows<T, HEAD_DIM> rows;
  const T* queries = static_cast<const T*>(p.queries) + sequence * p.query_stride + head * p.group * HEAD_DIM;
  rows.start([&](int r) { return r < p.group ? queries + r * HEAD_DIM : nullptr; });

  // The slots of the tile to be copied next are looked up one tile ahead.
  std::int64_t low = 0, high = 0;
  const auto look_up = [&](int tile) {
    if (tile >= to) return;
    low = map.slot(tile * kKeys);
    high = tile * kKeys + 8 < context ? map.slot(tile * kKeys + 8) : low;
  };
  const auto copy = [&](int tile, int stage) {
    if (tile < to) {
      const std::uint32_t k = buffers + stage * 2 * kTileBytes, v = k + kTileBytes;
#pragma unroll
      for (int i = 0; i < kKeys * kPieces / 32; ++i) {
        const int at = i * 32 + lane, row = at / kPieces, column = at % kPieces;
        const std::int64_t slot = row < 8 ? low + row : high + row - 8;
        const bool valid = tile * kKeys + row < context;
        const std::int64_t offset = (valid ? slot : low) * slot_stride + column * 8;
        flash::copy_16(k + flash::tile_offset<HEAD_DIM>(row, column), keys + offset, valid);
        flash::copy_16(v + flash::tile_offset<HEAD_DIM>(row, column), values + offset, valid);
      }
    }
    flash::commit_copies();
    look_up(tile + kWarps);
  };

  look_up(from + warp);
  for (int i = 0; i < kStages - 1; ++i) copy(from + warp + i * kWarps, i);
  int stage = 0;
  for (int tile = from + warp; tile < to; tile += kWarps) {
    flash::wait_copies<kStages - 2>();
    __syncwarp();
    copy(tile + (kStages - 1) * kWarps, (stage + kStages - 1) % kStages);
    const std::uint32_t k = buffers + stage * 2 * kTileBytes;
    const int token = tile * kKeys;
    const auto seen = [&](int, int j) { return token + j >= begin && token + j < context; };
    if (token < begin || token + kKeys > context) {
      rows.template take<kKeys, true>(k, k + kTileBytes, 0, p.scale_log2, seen);
    } else {
      rows.template take<kKeys, false>(k, k + kTileBytes, 0, p.scale_log2, seen);
    }
    __syncwarp();
    stage = (stage + 1) % kStages;
  }
  rows.finish();
  flash::wait_copies<0>();
  __syncthreads();

  // The four warps' rows through shared memory.
  float* gathered = reinterpret_cast<float*>(shared);  // [warp][row][HEAD_DIM + 2]
  constexpr int kRow = kPartFloats<HEAD_DIM>;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = lane / 4 + half * 8;
    if (row >= p.group) continue;
    float* mine = gathered + (warp * kRows + row) * kRow;
#pragma unroll
    for (int n = 0; n < HEAD_DIM / 8; ++n) {
      mine[n * 8 + lane % 4 * 2] = rows.out[n][half * 2];
      mine[n * 8 + lane % 4 * 2 + 1] = rows.out[n][half * 2 + 1];
    }
    if (lane % 4 == 0) {
      mine[HEAD_DIM] = rows.most[half];
      mine[HEAD_DIM + 1] = rows.sum[half];
    }
  }
  __syncthreads();
  const std::int64_t pair = static_cast<std::int64_t>(sequence) * p.kv_heads + head;
  // [split][query head of the group][HEAD_DIM + 2]
  float* parts = p.parts + (static_cast<std::int64_t>(piece.first) * p.kv_heads + head * used) * p.group * kRow;
  T* output = static_cast<T*>(p.output) + (static_cast<std::int64_t>(sequence) * p.q_heads + head * p.group) * HEAD_DIM;
  for (int i = threadIdx.x; i < p.group * HEAD_DIM; i += blockDim.x) {
    const int row = i / HEAD_DIM, column = i % HEAD_DIM;
    float most = -INFINITY;
    for (int w = 0; w < kWarps; ++w) most = fmaxf(most, gathered[(w * kRows + row) * kRow + HEAD_DIM]);
    float sum = 0, out = 0;
    for (int w = 0; w < kWarps; ++w) {
      const float* theirs = gathered + (w * kRows + row) * kRow;
      if (theirs[HEAD_DIM] == -INFINITY) continue;
      const float weight = exp2f(theirs[HEAD_DIM] - most);
      sum += weight * theirs[HEAD_DIM + 1];
      out += weight * theirs[column];
    }
    if (used == 1) {
      output[i] = rounded<T>(sum > 0 ? out / sum : 0.f);
      continue;
    }
    float* part = parts + (split * p.group + row) * kRow;
    part[column] = out;
    if (column == 0) {
      part[HEAD_DIM] = most;
      part[HEAD_DIM + 1] = sum;
    }
  }
  if (used == 1) return;

  __threadfence();
  __syncthreads();
  __shared__ bool last;
  if (threadIdx.x == 0) last = atomicAdd(p.arrivals + pair, 1u) == static_cast<unsigned>(used - 1);
  __syncthreads();
  if (!last) return;
  __threadfence();
  // Maxima and sums of all parts first, side by side; they become the parts' weights.
  float* most_of = gathered;                               // [split][row]
  float* weight_of = gathered + kMostDecodeParts * kRows;  // sums, then weights
  for (int i = threadIdx.x; i < used * p.group; i += blockDim.x) {
    most_of[i] = __ldcg(parts + i * kRow + HEAD_DIM);
    weight_of[i] = __ldcg(parts + i * kRow + HEAD_DIM + 1);
  }
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < p.group) {
    float most = -INFINITY, sum = 0;
    for (int s = 0; s < used; ++s) most = fmaxf(most, most_of[s * p.group + threadIdx.x]);
    for (int s = 0; s < used; ++s) {
      const int i = s * p.group + static_cast<int>(threadIdx.x);
      const float weight = most_of[i] == -INFINITY ? 0.f : exp2f(most_of[i] - most);
      sum += weight * weight_of[i];
      most_of[i] = weight;
    }
    for (int s = 0; s < used; ++s) most_of[s * p.group + threadIdx.x] *= sum > 0 ? 1.f / sum : 0.f;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < p.group * HEAD_DIM; i += blockDim.x) {
    const int row = i / HEAD_DIM, column = i % HEAD_DIM;
    float out = 0;
#pragma unroll 8
    for (int s = 0; s < used; ++s)
      out += most_of[s * p.group + row] * __ldcg(parts + (s * p.group + row) * kRow + column);
    output[i] = rounded<T>(out);
  }
  if (threadIdx.x == 0) p.arrivals[pair] = 0;
}

template <class T, int HEAD_DIM>
void launch_decode(const DecodeParams& p, const DecodeAttention& a, cudaStream_t stream) {
  constexpr int kBuffers = kWarps * kStages * 2 * kKeys * HEAD_DIM * 2;
  constexpr int kGathered = kWarps * kRows * kPartFloats<HEAD_DIM> * static_cast<int>(sizeof(float));
  constexpr int kBytes = kBuffers > kGathered ? kBuffers : kGathered;
  static const bool raised = [] {
    check(cudaFuncSetAttribute(decode_kernel<T, HEAD_DIM>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
    return true;
  }();
  (void)raised;
  // Heads of one piece side by side: their keys lie next to each other.
  const dim3 grid(static_cast<unsigned>(a.shape.kv_heads), static_cast<unsigned>(a.num_pieces));
  decode_kernel<T, HEAD_DIM><<<grid, kWarps * 32, kBytes, stream>>>(p);
  check(cudaGetLastError());
}

int log2_of(int block_size) {
  int shift = 0;
  while ((1 << shift) < block_size) ++shift;
  return shift;
}

}  // namespace

const char* why_unserved(const AttentionShape& s) {
  if (s.head_dim != 64 && s.head_dim != 128) return "a head size of 64 or 128";
  if (s.kv_heads < 1 || s.q_heads % s.kv_heads != 0) return "query heads in equal groups";
  if (s.q_heads / s.kv_heads > kRows) return "at most 16 query heads for each KV head";
  return nullptr;
}

std::int64_t decode_parts_bytes(const AttentionShape& shape, std::int64_t num_pieces) {
  return num_pieces * shape.q_heads * (shape.head_dim + 2) * static_cast<std::int64_t>(sizeof(float));
}

void launch(const DecodeAttention& a, Stream stream) {
  if (const char* need = why_unserved(a.shape)) throw std::invalid_argument(std::string("decode attention: ") + need);
  if (a.sequences == 0 || a.num_pieces == 0) return;
  const DecodeParams p{a.kv.keys,
                       a.kv.values,
                       a.queries,
                       a.output,
                       a.pieces,
                       a.kv.block_tables,
                       a.contexts,
                       a.key_begins,
                       a.kv.first_slots,
                       a.kv.table_stride,
                       a.query_stride,
                       log2_of(a.kv.block_size),
                       a.shape.q_heads,
                       a.shape.kv_heads,
                       a.shape.q_heads / a.shape.kv_heads,
                       static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(a.shape.head_dim))),
                       a.parts,
                       a.arrivals};
  const bool half = a.shape.element == Element::kFloat16;
  if (a.shape.head_dim == 128) {
    half ? launch_decode<__half, 128>(p, a, stream) : launch_decode<__nv_bfloat16, 128>(p, a, stream);
  } else {
    half ? launch_decode<__half, 64>(p, a, stream) : launch_decode<__nv_bfloat16, 64>(p, a, stream);
  }
}

}  // namespace headroom
