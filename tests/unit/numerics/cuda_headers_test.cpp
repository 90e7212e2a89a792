// Codes as CUDA's own conversion headers make them on the host. Built where the headers are.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp8.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/numerics/float_format.h"
#include "tests/unit/numerics/number_lines.h"

namespace headroom::testing {
namespace {

// Every float next to a rounding decision of F, and every 4,099th.
template <FloatFormat F, class Theirs>
void same_codes(Overflow overflow, const Theirs& theirs) {
  const auto check = [&](float value) { ASSERT_EQ(encode<F>(value, overflow), theirs(value)) << value; };
  for_each_edge<F>(check);
  for_each_4099th_float(check);
}

TEST(CudaHeaders, Fp8E4M3) {
  same_codes<kE4M3>(Overflow::kStandard, [](float v) { return __nv_cvt_float_to_fp8(v, __NV_NOSAT, __NV_E4M3); });
  same_codes<kE4M3>(Overflow::kSaturate, [](float v) { return __nv_cvt_float_to_fp8(v, __NV_SATFINITE, __NV_E4M3); });
}

TEST(CudaHeaders, Fp8E5M2) {
  same_codes<kE5M2>(Overflow::kStandard, [](float v) { return __nv_cvt_float_to_fp8(v, __NV_NOSAT, __NV_E5M2); });
  same_codes<kE5M2>(Overflow::kSaturate, [](float v) { return __nv_cvt_float_to_fp8(v, __NV_SATFINITE, __NV_E5M2); });
}

TEST(CudaHeaders, Fp4E2M1) {
  same_codes<kE2M1>(Overflow::kStandard, [](float v) { return __nv_cvt_float_to_fp4(v, __NV_E2M1, cudaRoundNearest); });
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(encode<kE2M1>(nan), __nv_cvt_float_to_fp4(nan, __NV_E2M1, cudaRoundNearest));
}

TEST(CudaHeaders, Float16AndBfloat16) {
  same_codes<kE5M10>(Overflow::kStandard, [](float v) { return __half_as_ushort(__float2half_rn(v)); });
  same_codes<kE8M7>(Overflow::kStandard, [](float v) { return __bfloat16_as_ushort(__float2bfloat16_rn(v)); });
}

TEST(CudaHeaders, E8M0) {
  for (std::uint32_t code = 0; code < 255; ++code) {
    const __nv_bfloat16_raw raw = __nv_cvt_e8m0_to_bf16raw(static_cast<__nv_fp8_storage_t>(code));
    EXPECT_EQ(decode_e8m0(code), decode<kE8M7>(raw.x)) << code;
  }
}

}  // namespace
}  // namespace headroom::testing
