// Pictures of a sweep's grid, as scripts for draw().
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/report/gnuplot.h"
#include "sim/report/metrics.h"
#include "sim/report/sweep_grid.h"

namespace headroom {

// Cells that differ only on dimension `along`, in its order: one line of a chart.
struct Series {
  std::string name;
  std::vector<const GridCell*> cells;
};
// At most `most`, evenly chosen: the first and the last among them.
std::vector<Series> series_along(const SweepGrid& grid, std::size_t along, std::size_t most);

// A figure over a dimension; a band from the smallest to the largest seed. None: nothing to draw.
std::optional<PlotScript> figure_chart(const SweepGrid& grid, std::size_t along, std::span<const Series> series,
                                       const Metric& metric);
// One figure over another, a line a series: throughput-latency curves.
std::optional<PlotScript> curve_chart(std::span<const Series> series, const Metric& x, const Metric& y);
// A figure by colour and number over two dimensions, for the other dimensions at `rest` (its entries at the two are
// ignored). None when no cell has it.
std::optional<PlotScript> heat_map(const SweepGrid& grid, std::size_t across, std::size_t down,
                                   std::vector<std::size_t> rest, const Metric& metric);

}  // namespace headroom
