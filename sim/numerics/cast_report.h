// What converting tensors to another number format does to their values, and what to do about those that break.
//
// A tensor breaks when a finite value becomes infinite or NaN (or, under saturation, is cut), or when its SQNR is below
// the wanted one. SQNR = 10 log10(sum x^2 / sum (x - Q(x))^2) over the values that are finite before and after
// (SEMANTICS 7.3); relative errors likewise, over values other than zero (7.4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/numerics/number_format.h"
#include "sim/numerics/tensor_file.h"

namespace headroom {

// Counts and sums over some values.
struct Tally {
  std::int64_t values = 0;
  std::int64_t not_finite = 0;  // NaN or infinite before
  std::int64_t overflow = 0;    // finite before; infinite, NaN or cut after
  std::int64_t underflow = 0;   // not zero before, zero after
  std::int64_t subnormal = 0;   // subnormal after; formats with shared scales: not counted
  float largest = 0;            // magnitudes of finite values before
  float smallest = 0;           // of those other than zero; 0: there is none
  double signal = 0, noise = 0;
  double relative_sum = 0, relative_largest = 0;
  std::int64_t relative_values = 0;

  void add(float before, float after, float cut_above, float smallest_normal);
  Tally& operator+=(const Tally& other);
  double sqnr_db() const;  // +infinity when nothing is lost
  double mean_relative_error() const;
};

// Which axis the channels of a report run along: outputs of a weight matrix, or channels of recorded activations.
enum class ChannelAxis { kFirst, kLast };

struct ChannelTally {
  std::int64_t channel = 0;
  Tally tally;
};

struct TensorReport {
  std::string file, name;
  std::string type_name;  // as stored
  std::vector<std::int64_t> shape;
  Bytes stored, converted;
  Tally tally;
  std::vector<ChannelTally> worst;  // at most three, worst first; empty for vectors
  bool kept = false;                // left as stored: by the caller's wish, or a vector that no scaled format takes
  bool breaks = false;
  // Of a tensor that breaks:
  std::optional<double> bfloat16_sqnr_db;  // as bfloat16 instead
  std::optional<double> scaled_sqnr_db;    // divided by scale first and multiplied after
  float scale = 1;
};

struct CastOptions {
  NumberFormat to = NumberFormat::kFloat16;
  Overflow overflow = Overflow::kStandard;
  std::int64_t group = 128;         // of the int4 formats
  double min_sqnr_db = 20;          // below it a tensor breaks
  std::optional<ChannelAxis> axis;  // none: first for safetensors (weights), last for npy (activations)
  std::vector<std::string> keep;    // glob patterns of names that stay as stored
};

struct CastReport {
  CastOptions options;
  std::vector<TensorReport> tensors;  // floating-point ones, in file order
  std::vector<std::string> not_read;  // names of the others
  Bytes other;                        // and their bytes, which stay as they are
  Tally total;
  Bytes stored, converted;  // of the floating-point tensors

  std::int64_t num_broken() const;
};

// What can be done about the tensors that break, the plain conversion first.
struct Remedy {
  std::string name;
  Bytes bytes;                          // of all tensors of the files
  std::optional<double> worst_sqnr_db;  // of those that break; none: a value is lost altogether
};
std::vector<Remedy> remedies(const CastReport& report);

// Adds the tensors of `file`. Reads each tensor once, in pieces; formats with a scale for each row or tensor, and
// tensors that break, are read again.
void add_file(const TensorFile& file, CastReport& report);

}  // namespace headroom
