// What tests on a GPU share: they skip without one, and judge by the norm of the error over the norm of the result.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "validate/kernels/device.h"
#include "validate/kernels/host_element.h"
#include "validate/kernels/random_values.h"

#define HEADROOM_NEEDS_GPU() \
  if (headroom::num_devices() == 0) GTEST_SKIP() << "no CUDA device here"

namespace headroom {

// Relative error that rounding the inputs of a sum to the element type explains.
inline double tolerance(Element element) {
  return element == Element::kBfloat16 ? 8e-3 : 1e-3;
}

// `count` random numbers of the element type, as bits and as what they stand for.
struct Numbers {
  Element element;
  std::vector<std::uint16_t> bits;
  std::vector<double> values;
  Numbers(Element e, std::int64_t count, std::uint64_t seed, float scale = 1, float offset = 0) : element(e) {
    for (std::int64_t i = 0; i < count; ++i) {
      bits.push_back(bits_of(e, random_value(seed, static_cast<std::uint64_t>(i), scale) + offset));
      values.push_back(static_cast<double>(number_of(e, bits.back())));
    }
  }
  DeviceBuffer upload(Stream stream) const { return on_device(std::span<const std::uint16_t>(bits), stream); }
};

inline std::vector<double> download(Element element, const void* from, std::int64_t count, Stream stream) {
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(count));
  copy_to_host(bits.data(), from, 2 * count, stream);
  wait_for(stream);
  std::vector<double> values;
  for (const std::uint16_t b : bits) values.push_back(static_cast<double>(number_of(element, b)));
  return values;
}

inline double relative_error(const std::vector<double>& got, const std::vector<double>& wanted) {
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
    norm += wanted[i] * wanted[i];
  }
  return std::sqrt(error / norm);  // NaN never passes
}

}  // namespace headroom
