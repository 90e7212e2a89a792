// Counts, SQNR, worst channels and remedies on tensors small enough to work out by hand.
#include "sim/numerics/cast_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

// A file of float32 tensors.
class Files {
 public:
  std::string npy(const std::string& name, const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
    std::string dimensions;
    for (const std::int64_t size : shape) dimensions += std::to_string(size) + ",";
    const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + dimensions + ")}";
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(header.size());
    bytes += '\0';
    bytes += header;
    return write(name + ".npy", bytes, values);
  }
  std::string safetensors(const std::string& header, const std::vector<float>& values) {
    std::string bytes(8, '\0');
    const std::uint64_t length = header.size();
    std::memcpy(bytes.data(), &length, 8);
    return write("x.safetensors", bytes + header, values);
  }

 private:
  std::string write(const std::string& name, std::string bytes, const std::vector<float>& values) {
    std::string data(4 * values.size(), '\0');
    if (!values.empty()) std::memcpy(data.data(), values.data(), data.size());
    std::ofstream(scratch_ / name, std::ios::binary) << bytes << data;
    return scratch_ / name;
  }
  Scratch scratch_;
};

CastReport report_of(const std::string& path, const CastOptions& options) {
  CastReport report;
  report.options = options;
  add_file(TensorFile(path), report);
  return report;
}

TEST(CastReport, FromFloat32ToFloat16ByHand) {
  Files files;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // Channels are columns: 65,520 overflows in channel 0, 2^-25 vanishes in channel 1, 2^-20 + 2^-25 in channel 2
  // becomes the subnormal 2^-20, channel 3 is exact or was never a number.
  const CastReport r = report_of(
      files.npy("x", {2, 4}, {65520, 0x1p-25f, 0x1p-20f + 0x1p-25f, 1, -65504, 0, 0x1p-14f, nan}), CastOptions{});
  const Tally& t = r.tensors.at(0).tally;
  EXPECT_EQ(t.values, 8);
  EXPECT_EQ(t.not_finite, 1);
  EXPECT_EQ(t.overflow, 1);
  EXPECT_EQ(t.underflow, 1);
  EXPECT_EQ(t.subnormal, 1);
  EXPECT_EQ(t.largest, 65520);
  EXPECT_EQ(t.smallest, 0x1p-25f);
  EXPECT_EQ(t.relative_largest, 1);
  EXPECT_TRUE(r.tensors[0].breaks);
  ASSERT_EQ(r.tensors[0].worst.size(), 3u);
  EXPECT_EQ(r.tensors[0].worst[0].channel, 0);
  EXPECT_EQ(r.tensors[0].worst[1].channel, 1);
  EXPECT_EQ(r.tensors[0].worst[2].channel, 2);
  // Signal of the finite ones; the noise is 2^-25 twice over.
  const double signal = 65504.0 * 65504 + 1 + std::ldexp(1.0, -28) + std::ldexp(1.0, -50) +
                        std::pow(std::ldexp(1.0, -20) + std::ldexp(1.0, -25), 2);
  EXPECT_NEAR(t.sqnr_db(), 10 * std::log10(signal / (2 * std::ldexp(1.0, -50))), 1e-9);
  // bfloat16 keeps all; a scale brings 65,520 into range.
  EXPECT_GT(r.tensors[0].bfloat16_sqnr_db.value(), 40);
  EXPECT_FLOAT_EQ(r.tensors[0].scale, 65520.0f / 65504);
  EXPECT_GT(r.tensors[0].scaled_sqnr_db.value(), 60);
}

TEST(CastReport, SaturatingCutsAndCounts) {
  Files files;
  CastOptions o;
  o.to = NumberFormat::kFp8E4m3;
  o.overflow = Overflow::kSaturate;
  const CastReport r = report_of(files.npy("x", {4}, {1, 448, 449, -1000}), o);
  EXPECT_EQ(r.total.overflow, 2);
  EXPECT_NEAR(r.total.sqnr_db(), 10 * std::log10((1 + 448. * 448 + 449. * 449 + 1e6) / (1 + 552. * 552)), 1e-9);
  EXPECT_TRUE(r.tensors[0].worst.empty());
}

TEST(CastReport, ChannelsOfWeightsAreRows) {
  Files files;
  const CastReport r = report_of(files.safetensors(R"({"w":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},)"
                                                   R"("b":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}})",
                                                   {1, 2, 1e6f, 1, 1e6f, 1e6f, 0.1f, 0.2f}),
                                 CastOptions{});
  ASSERT_EQ(r.tensors.size(), 2u);
  ASSERT_EQ(r.tensors[0].worst.size(), 2u);
  EXPECT_EQ(r.tensors[0].worst[0].channel, 2);
  EXPECT_EQ(r.tensors[0].worst[1].channel, 1);
  EXPECT_EQ(r.num_broken(), 1);
  const std::vector<Remedy> list = remedies(r);
  ASSERT_EQ(list.size(), 4u);
  EXPECT_EQ(list[0].bytes.count(), 16);
  EXPECT_FALSE(list[0].worst_sqnr_db);
  EXPECT_EQ(list[1].bytes.count(), 16);      // bfloat16
  EXPECT_EQ(list[2].bytes.count(), 16 + 4);  // one scale
  EXPECT_EQ(list[3].bytes.count(), 24 + 4);  // the matrix as stored, the vector in float16
  EXPECT_TRUE(std::isinf(list[3].worst_sqnr_db.value()));
}

TEST(CastReport, NothingBreaksOffersNothing) {
  Files files;
  EXPECT_EQ(remedies(report_of(files.npy("x", {2}, {1, 2}), CastOptions{})).size(), 1u);
  const CastReport none = report_of(files.npy("x", {0, 3}, {}), CastOptions{});
  EXPECT_EQ(none.total.values, 0);
  EXPECT_FALSE(none.tensors[0].breaks);
}

TEST(CastReport, ScaledFormatsKeepVectorsAndWhatIsNamed) {
  Files files;
  CastOptions o;
  o.to = NumberFormat::kInt8;
  o.keep = {"head*"};
  const std::string path = files.safetensors(R"({"head.w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
                                             R"("w":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]}})",
                                             {1, 2, 3, 4, 127, 1, -0.5f, 0.25f});
  const CastReport r = report_of(path, o);
  EXPECT_TRUE(r.tensors[0].kept);
  EXPECT_TRUE(r.tensors[1].kept);
  EXPECT_FALSE(r.tensors[2].kept);
  EXPECT_EQ(r.converted.count(), 8 + 8 + 4 + 2 * 4);
  // Row 0 is exact; row 1 has the scale 0.5 / 127: 0.25 is 63.5 codes, to the even 64.
  const double error = 0.25 - 64 * static_cast<double>(0.5f / 127);
  EXPECT_NEAR(r.total.noise, error * error, 1e-12);
}

TEST(CastReport, PiecesOfALongRowAreOneRow) {
  // Longer than the piece read at once, the largest value at its end: the scale must be the row's.
  Files files;
  std::vector<float> values(100'000, 1);
  values.back() = 127;
  for (const auto format : {NumberFormat::kInt8, NumberFormat::kFloat16, NumberFormat::kAwq, NumberFormat::kNvfp4}) {
    CastOptions o;
    o.to = format;
    o.min_sqnr_db = -100;
    const CastReport r = report_of(files.npy("x", {1, 100'000}, values), o);
    EXPECT_EQ(r.total.values, 100'000);
    if (format == NumberFormat::kInt8 || format == NumberFormat::kFloat16) {
      EXPECT_EQ(r.total.noise, 0);
    }
  }
}

}  // namespace
}  // namespace headroom::testing
