// Measures as people read them: a value in the unit that suits its size, and a run's intervals.
#pragma once

#include <span>
#include <string>

#include "sim/engine/intervals.h"
#include "sim/engine/measures.h"

namespace headroom {

// "43.9 ms", "112 /s", "15.6 GiB", "2588"; "-" for NaN.
std::string measure_text(Dimensions dimension, double value);

struct VariantIntervals {
  std::string name;  // empty: the only one
  Intervals intervals;
};

// One line a measure that people look at first, one column a variant.
std::string intervals_table(std::span<const VariantIntervals> variants);

}  // namespace headroom
