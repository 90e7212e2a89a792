// What both attention kernels are made of: a warp holds 16 query rows in registers and takes in 16 keys at a time.
//
//   S = Q K^T     mma m16n8k16; K in shared memory, rows of keys, read with ldmatrix
//   P = exp2(S - max), O = O * old/new + P V     V read with ldmatrix.trans; P stays in registers
//
// Shared tiles are rows of HEAD_DIM elements; the 16-byte pieces of a row are permuted by its number, so that neither
// the copies into it nor ldmatrix meet a bank twice.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace headroom::flash {

__device__ inline std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

// 16 bytes from global to shared memory in the background; zeros when not `valid`.
__device__ inline void copy_16(std::uint32_t to, const void* from, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(bytes));
}
__device__ inline void commit_copies() {
  asm volatile("cp.async.commit_group;\n");
}
template <int PENDING>
__device__ inline void wait_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(PENDING));
}

__device__ inline void load_matrices(std::uint32_t (&r)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}
__device__ inline void load_transposed(std::uint32_t (&r)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}

template <class T>
struct Arithmetic;
template <>
struct Arithmetic<__half> {
  static __device__ void mma(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
  static __device__ std::uint32_t pack(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
};
template <>
struct Arithmetic<__nv_bfloat16> {
  static __device__ void mma(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
  static __device__ std::uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
};

// Byte offset of piece `piece` (8 elements) of row `row` in a shared tile.
template <int HEAD_DIM>
__device__ inline std::uint32_t tile_offset(int row, int piece) {
  return static_cast<std::uint32_t>((row * (HEAD_DIM / 8) + (piece ^ (row & 7))) * 16);
}

// Where the tokens of one sequence lie. Runs of 8 tokens that start at a multiple of 8 are consecutive slots.
struct SlotMap {
  const std::int32_t* table;  // null: contiguous
  std::int64_t first;
  std::int32_t shift;  // log2 of the block size
  __device__ std::int64_t slot(std::int32_t token) const {
    if (table == nullptr) return first + token;
    const std::int32_t in_block = token & ((1 << shift) - 1);
    return (static_cast<std::int64_t>(table[token >> shift]) << shift) + in_block;
  }
};

// 16 query rows of one warp on their way through the keys. Thread `lane` holds rows lane/4 and lane/4 + 8.
template <class T, int HEAD_DIM>
struct WarpRows {
  std::uint32_t query[HEAD_DIM / 16][4];
  float out[HEAD_DIM / 8][4];
  float most[2];  // running maximum of the scaled scores, in units of log2
  float sum[2];   // this thread's share of the sum of exponentials

  // `row(r)` gives a pointer to query row r of the tile, or null for a row that does not exist.
  template <class RowPointer>
  __device__ void start(RowPointer row) {
    const int lane = threadIdx.x % 32;
    const T* low = row(lane / 4);
    const T* high = row(lane / 4 + 8);
    const int column = (lane % 4) * 2;
#pragma unroll
    for (int k = 0; k < HEAD_DIM / 16; ++k) {
      const auto at = [&](const T* p, int offset) {
        return p == nullptr ? 0u : *reinterpret_cast<const std::uint32_t*>(p + k * 16 + offset + column);
      };
      query[k][0] = at(low, 0);
      query[k][1] = at(high, 0);
      query[k][2] = at(low, 8);
      query[k][3] = at(high, 8);
    }
#pragma unroll
    for (int n = 0; n < HEAD_DIM / 8; ++n)
      for (int i = 0; i < 4; ++i) out[n][i] = 0;
    most[0] = most[1] = -INFINITY;
    sum[0] = sum[1] = 0;
  }

  // Takes in KEYS keys that lie in rows [row, row + KEYS) of the shared tiles. `seen(r, j)`: whether row r (0 or 1 of
  // this thread's two) sees key j of them; asked only when MASKED.
  template <int KEYS, bool MASKED, class Seen>
  __device__ void take(std::uint32_t keys, std::uint32_t values, int row, float scale_log2, Seen seen) {
    const int lane = threadIdx.x % 32;
    float score[KEYS / 8][4];
#pragma unroll
    for (int n = 0; n < KEYS / 8; ++n)
      for (int i = 0; i < 4; ++i) score[n][i] = 0;
#pragma unroll
    for (int k = 0; k < HEAD_DIM / 16; ++k) {
#pragma unroll
      for (int n = 0; n < KEYS / 16; ++n) {
        std::uint32_t b[4];
        load_matrices(b, keys + tile_offset<HEAD_DIM>(row + n * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
        Arithmetic<T>::mma(score[2 * n], query[k], b[0], b[1]);
        Arithmetic<T>::mma(score[2 * n + 1], query[k], b[2], b[3]);
      }
    }
    float largest[2] = {-INFINITY, -INFINITY};
#pragma unroll
    for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        score[n][i] *= scale_log2;
        if (MASKED && !seen(i / 2, n * 8 + lane % 4 * 2 + i % 2)) score[n][i] = -INFINITY;
        largest[i / 2] = fmaxf(largest[i / 2], score[n][i]);
      }
    }
    float rescale[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      largest[r] = fmaxf(largest[r], __shfl_xor_sync(0xffffffffu, largest[r], 1));
      largest[r] = fmaxf(largest[r], __shfl_xor_sync(0xffffffffu, largest[r], 2));
      const float now = fmaxf(most[r], largest[r]);
      // A row that has seen nothing yet keeps zeros: its maximum stands for 0.
      rescale[r] = now == -INFINITY ? 1.f : exp2f(most[r] - now);
      most[r] = now;
      sum[r] *= rescale[r];
    }
#pragma unroll
    for (int n = 0; n < HEAD_DIM / 8; ++n)
      for (int i = 0; i < 4; ++i) out[n][i] *= rescale[i / 2];
    const float base[2] = {most[0] == -INFINITY ? 0.f : most[0], most[1] == -INFINITY ? 0.f : most[1]};
#pragma unroll
    for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        score[n][i] = exp2f(score[n][i] - base[i / 2]);
        sum[i / 2] += score[n][i];
      }
#pragma unroll
    for (int k = 0; k < KEYS / 16; ++k) {
      const std::uint32_t p[4] = {Arithmetic<T>::pack(score[2 * k][0], score[2 * k][1]),
                                  Arithmetic<T>::pack(score[2 * k][2], score[2 * k][3]),
                                  Arithmetic<T>::pack(score[2 * k + 1][0], score[2 * k + 1][1]),
                                  Arithmetic<T>::pack(score[2 * k + 1][2], score[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < HEAD_DIM / 16; ++n) {
        std::uint32_t b[4];
        load_transposed(b, values + tile_offset<HEAD_DIM>(row + k * 16 + lane % 16, n * 2 + lane / 16));
        Arithmetic<T>::mma(out[2 * n], p, b[0], b[1]);
        Arithmetic<T>::mma(out[2 * n + 1], p, b[2], b[3]);
      }
    }
  }

  // Completes the sums over the four threads of a row.
  __device__ void finish() {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
      sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
    }
  }
};

}  // namespace headroom::flash
