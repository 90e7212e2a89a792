#include "sim/workload/lengths.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace headroom {
namespace {

double draw(const LengthDistribution& law, Random& random) {
  using enum LengthDistribution::Kind;
  switch (law.kind) {
    case kFixed:
      return law.mean;
    case kUniform:
      return static_cast<double>(law.min) +
             static_cast<double>(random.below(static_cast<std::uint64_t>(law.max - law.min + 1)));
    case kLognormal:
      return random.lognormal(law.mean, law.cv);
    case kNormal:
      return law.mean * (1 + law.cv * random.normal());
    case kExponential:
      return random.exponential(law.mean);
    case kGeometric:
      return static_cast<double>(random.geometric(law.mean));
    case kEmpirical:
      return static_cast<double>(law.values[random.below(law.values.size())]);
  }
  return law.mean;
}

}  // namespace

std::int64_t draw_length(const LengthDistribution& law, Random& random) {
  const auto low = static_cast<double>(law.min);
  const double high =
      law.max > 0 ? static_cast<double>(law.max) : static_cast<double>(std::numeric_limits<std::int32_t>::max());
  double length = 0;
  for (int tries = 0; tries < 1000; ++tries) {
    length = std::round(draw(law, random));
    if (length >= low && length <= high) return static_cast<std::int64_t>(length);
  }
  return static_cast<std::int64_t>(std::clamp(length, low, high));
}

}  // namespace headroom
