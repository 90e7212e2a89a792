// How far a static scale should reach: the clip value that an observer learns from values it has seen (SEMANTICS 7.3).
//
// Observers look at a histogram of magnitudes, 2,048 equal bins up to the largest. A clip value c quantizes x to
// s * code(x / s) with s = c / (largest code); what is beyond c saturates.
//   min-max      c = the largest magnitude seen
//   percentile   the smallest bin edge with at least that share of the values at or below it
//   mse          of 128 clip values evenly spaced up to the largest, the one with the least squared error over the bins
//   entropy      TensorRT's recipe for int8: of all numbers of bins i, the one whose first i bins, the rest added to
//   the
//                last, differ least (Kullback-Leibler) from the same merged to 128 levels and spread back
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "models/numerics/block_formats.h"
#include "models/numerics/number_format.h"

namespace headroom {

enum class Observer { kMinMax, kPercentile, kMse, kEntropy };

struct ObserverEntry {
  Observer observer;
  std::string_view name;
};
std::span<const ObserverEntry> observers();
std::optional<Observer> observer_named(std::string_view name);
std::string_view name_of(Observer observer);

class MagnitudeHistogram {
 public:
  static constexpr std::size_t kBins = 2048;
  // Requires largest >= 0, finite. Values beyond it are counted in the last bin.
  explicit MagnitudeHistogram(float largest);
  // NaN is not counted.
  void add(std::span<const float> values);

  float largest() const { return largest_; }
  float edge(std::size_t bin) const;    // upper edge of a bin
  float centre(std::size_t bin) const;  // middle of a bin
  const std::vector<std::int64_t>& counts() const { return counts_; }
  std::int64_t total() const { return total_; }

 private:
  float largest_;
  float per_unit_;  // bins per unit of magnitude
  std::vector<std::int64_t> counts_;
  std::int64_t total_ = 0;
};

// Formats that a static scale serves: int8 and the two fp8. The largest code: 127, 448, 57344.
bool takes_static_scale(NumberFormat format);
// value -> scale * code(value / scale), saturating. Requires takes_static_scale(to), scale > 0.
inline float quantize_static(NumberFormat to, float value, float scale) {
  if (to == NumberFormat::kInt8) return decode_int8(encode_int8(value, scale), scale);
  const float code = value / scale;
  return scale * (to == NumberFormat::kFp8E4m3 ? round_to<kE4M3>(code, Overflow::kSaturate)
                                               : round_to<kE5M2>(code, Overflow::kSaturate));
}

struct ObserverOptions {
  NumberFormat to = NumberFormat::kInt8;
  double percentile = 99.99;
};
// The clip value; 0 only if nothing but zeros was seen. Entropy requires to == int8.
float clip_value(Observer observer, const MagnitudeHistogram& seen, const ObserverOptions& options);

}  // namespace headroom
