#include "sim/report/sweep_grid.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/report/sweep_charts.h"

namespace headroom {
namespace {

// Two models zipped with two parallel degrees, three rates, two seeds; one point failed.
SweepResults sweep() {
  SweepResults s;
  s.planned = 12;
  s.axes = {{"model", 0, "", {"small", "large"}, {}},
            {"cluster.tensor_parallel_size", 0, "number", {"1.0", "4.0"}, {1, 4}},
            {"workload.arrivals.rate", 1, "1/s", {"1.0", "2.0", "40.0"}, {1, 2, 40}},
            {"engine.block_size", 2, "number", {"16.0"}, {16}}};
  for (std::size_t m = 0; m < 2; ++m)
    for (std::size_t r = 0; r < 3; ++r)
      for (int seed = 0; seed < 2; ++seed) {
        SweepPointResult p;
        p.id = static_cast<std::int64_t>(s.points.size());
        p.at = {m, m, r, 0};
        p.seed = seed;
        p.figures["latency_ttft_s_p99"] = 1.0 + static_cast<double>(10 * m + r) + seed;
        s.points.push_back(p);
      }
  s.points.back().failed = true;
  return s;
}

TEST(SweepGrid, ZippedAxesAreOneDimensionAndSingleValuesNone) {
  const SweepGrid grid = grid_of(sweep());
  ASSERT_EQ(grid.dimensions.size(), 2U);
  EXPECT_EQ(grid.dimensions[0].label, "model + cluster.tensor_parallel_size");
  EXPECT_EQ(grid.dimensions[0].words, (std::vector<std::string>{"small, 1", "large, 4"}));
  EXPECT_TRUE(grid.dimensions[0].numbers.empty());
  EXPECT_EQ(grid.dimensions[1].words, (std::vector<std::string>{"1/s", "2/s", "40/s"}));
  EXPECT_EQ(grid.dimensions[1].unit, "1/s");
}

TEST(SweepGrid, SeedsFallIntoOneCell) {
  const SweepGrid grid = grid_of(sweep());
  ASSERT_EQ(grid.cells.size(), 6U);
  const GridCell* cell = grid.cell({1, 0});
  ASSERT_NE(cell, nullptr);
  EXPECT_EQ(cell->seeds, 2);
  EXPECT_DOUBLE_EQ(cell->mean("latency.ttft_s.p99"), 11.5);
  EXPECT_DOUBLE_EQ(cell->figure("latency.ttft_s.p99")->low, 11);
  EXPECT_DOUBLE_EQ(cell->figure("latency.ttft_s.p99")->high, 12);
  EXPECT_EQ(grid.cell({1, 2})->seeds, 1) << "the failed one does not count";
  EXPECT_EQ(grid.cell({2, 0}), nullptr);
  EXPECT_TRUE(std::isnan(cell->mean("no.such")));
  EXPECT_EQ(grid.name_of(*cell), "large, 4, rate 1/s");
}

TEST(SweepGrid, SeriesGoAlongOneDimension) {
  const SweepGrid grid = grid_of(sweep());
  const std::vector<Series> series = series_along(grid, 1, 12);
  ASSERT_EQ(series.size(), 2U);
  EXPECT_EQ(series[0].name, "small, 1");
  EXPECT_EQ(series[0].cells.size(), 3U);
  EXPECT_EQ(series_along(grid, 1, 1).size(), 1U);
}

}  // namespace
}  // namespace headroom
