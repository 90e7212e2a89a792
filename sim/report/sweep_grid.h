// The points of a sweep as a grid: dimensions that vary, and one cell where all seeds of a point fall together.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/output/sweep_results.h"

namespace headroom {

struct GridAxis {
  std::string label;               // the axis' path, several joined by " + " when zipped, or "variant"
  std::vector<std::string> words;  // of each position, with its unit
  std::vector<double> numbers;     // in the axis' unit; empty: words
  std::string unit;                // of numbers; empty for plain ones
};

struct GridCell {
  std::vector<std::size_t> at;  // position on each dimension
  std::int64_t seeds = 0;       // points that are done
  struct Figure {
    double mean = 0, low = 0, high = 0;
  };
  std::map<std::string, Figure> figures;  // by path of summary.json's, dots as '_'

  double mean(std::string_view path) const;  // NaN: nothing there
  const Figure* figure(std::string_view path) const;
};

struct SweepGrid {
  std::vector<GridAxis> dimensions;  // of more than one value
  std::vector<GridCell> cells;       // that have a point done, in order
  // The cell there; null: none.
  const GridCell* cell(const std::vector<std::size_t>& at) const;
  std::string name_of(const GridCell& cell, std::size_t except = SIZE_MAX) const;  // "hardware a10g, rate 1/s"
};

SweepGrid grid_of(const SweepResults& sweep);

}  // namespace headroom
