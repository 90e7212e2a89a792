#include "sim/report/sweep_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/report/run_charts.h"

namespace headroom {
namespace {

std::string number(double value) {
  return std::isnan(value) ? "NaN" : fmt::format("{:.5g}", value);
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void add(double v) {
    if (std::isnan(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return low > high; }
  // Far enough apart, and positive, to be read better on a logarithmic axis.
  bool logarithmic(double ratio = 20) const { return low > 0 && high / low > ratio; }
};

std::string axis_of(char name, const Metric& metric, const Range& range) {
  std::string out = fmt::format("set {}label {}\n", name, plot_text(metric.label));
  if (range.logarithmic() && metric.unit != MetricUnit::kShare) out += fmt::format("set logscale {}\n", name);
  if (metric.unit == MetricUnit::kTime && range.logarithmic()) {
    out += fmt::format("set {}tics {}\nset {}range [{}:{}]\n", name, time_tics(range.low / 1.2, range.high * 1.2), name,
                       number(range.low / 1.2), number(range.high * 1.2));
  } else if (metric.unit == MetricUnit::kTime) {
    out += fmt::format("set format {} '%.1s %cs'\nset {}range [0:*]\n", name, name);
  } else if (metric.unit == MetricUnit::kShare) {
    out += fmt::format(
        "set {0}range [0:1]\nset {0}tics ('0 %%' 0, '25 %%' 0.25, '50 %%' 0.5, '75 %%' 0.75, '100 %%' 1)\n", name);
  } else {
    out += fmt::format("set format {} '{}'\n", name, range.high < 10'000 ? "%g" : "%.0s%c");
    if (!range.logarithmic()) out += fmt::format("set {}range [0:*]\n", name);
  }
  return out;
}

std::string line_style(std::size_t i) {
  return fmt::format("lw 2 dt {} lc rgb '{}'", 1 + i / kSeriesColours, kPalette[i % kSeriesColours].rgb);
}

}  // namespace

std::vector<Series> series_along(const SweepGrid& grid, std::size_t along, std::size_t most) {
  std::map<std::vector<std::size_t>, Series> lines;
  for (const GridCell& cell : grid.cells) {
    std::vector<std::size_t> key = cell.at;
    key[along] = 0;
    Series& line = lines[key];
    line.name = grid.name_of(cell, along);
    line.cells.push_back(&cell);
  }
  std::vector<Series> all;
  for (auto& [key, line] : lines) all.push_back(std::move(line));
  if (all.size() <= most) return all;
  std::vector<Series> some;
  for (std::size_t i = 0; i < most; ++i)
    some.push_back(std::move(all[most > 1 ? i * (all.size() - 1) / (most - 1) : 0]));
  return some;
}

std::optional<PlotScript> figure_chart(const SweepGrid& grid, std::size_t along, std::span<const Series> series,
                                       const Metric& metric) {
  const GridAxis& axis = grid.dimensions[along];
  PlotScript script;
  Range x_range, y_range;
  std::string bands, lines;
  for (std::size_t i = 0; i < series.size(); ++i) {
    std::string rows;
    for (const GridCell* cell : series[i].cells) {
      const GridCell::Figure* f = cell->figure(metric.path);
      if (f == nullptr || std::isnan(f->mean)) continue;
      const double x = axis.numbers.empty() ? static_cast<double>(cell->at[along]) : axis.numbers[cell->at[along]];
      x_range.add(x);
      y_range.add(f->low);
      y_range.add(f->high);
      rows += fmt::format("{} {} {} {}\n", number(x), number(f->mean), number(f->low), number(f->high));
    }
    if (rows.empty()) continue;
    script.data += fmt::format("$s{} << END\n{}END\n", i, rows);
    bands += fmt::format(", $s{} using 1:3:4 with filledcurves fs transparent solid 0.18 noborder fc rgb '{}'", i,
                         kPalette[i % kSeriesColours].rgb);
    lines += fmt::format(", $s{} using 1:2 with linespoints pt 7 ps 0.5 {}", i, line_style(i));
  }
  if (y_range.empty()) return std::nullopt;
  script.body = axis_of('y', metric, y_range);
  script.body += fmt::format("set xlabel {}\n", plot_text(axis.label + (axis.unit.empty() ? "" : ", " + axis.unit)));
  const auto tics = [&] {
    std::string out;
    for (std::size_t i = 0; i < axis.words.size(); ++i)
      out += fmt::format("{}{} {}", out.empty() ? "(" : ", ", plot_tic(axis.words[i]),
                         number(axis.numbers.empty() ? static_cast<double>(i) : axis.numbers[i]));
    return out + ")";
  };
  if (axis.numbers.empty()) {
    script.body += fmt::format("set xrange [-0.3:{}]\nset xtics {}{}\n", static_cast<double>(axis.words.size()) - 0.7,
                               tics(), axis.words.size() > 4 ? " rotate by -30" : "");
  } else {
    if (x_range.logarithmic(7)) script.body += "set logscale x\n";
    if (axis.words.size() <= 8) script.body += fmt::format("set xtics {}\n", tics());
  }
  script.body += "plot " + (bands + lines).substr(2);
  return script;
}

std::optional<PlotScript> curve_chart(std::span<const Series> series, const Metric& x, const Metric& y) {
  PlotScript script;
  Range x_range, y_range;
  std::string lines;
  for (std::size_t i = 0; i < series.size(); ++i) {
    std::string rows;
    for (const GridCell* cell : series[i].cells) {
      const double a = cell->mean(x.path), b = cell->mean(y.path);
      if (std::isnan(a) || std::isnan(b)) continue;
      x_range.add(a);
      y_range.add(b);
      rows += fmt::format("{} {}\n", number(a), number(b));
    }
    if (rows.empty()) continue;
    script.data += fmt::format("$s{} << END\n{}END\n", i, rows);
    lines += fmt::format(", $s{} using 1:2 with linespoints pt 7 ps 0.5 {}", i, line_style(i));
  }
  if (lines.empty()) return std::nullopt;
  script.body = axis_of('x', x, x_range) + axis_of('y', y, y_range) + "plot " + lines.substr(2);
  return script;
}

std::optional<PlotScript> heat_map(const SweepGrid& grid, std::size_t across, std::size_t down,
                                   std::vector<std::size_t> rest, const Metric& metric) {
  const GridAxis &columns = grid.dimensions[across], &rows = grid.dimensions[down];
  PlotScript script;
  Range range;
  std::string cells, labels;
  for (std::size_t r = 0; r < rows.words.size(); ++r)
    for (std::size_t c = 0; c < columns.words.size(); ++c) {
      rest[across] = c;
      rest[down] = r;
      const GridCell* cell = grid.cell(rest);
      const double v = cell != nullptr ? cell->mean(metric.path) : std::numeric_limits<double>::quiet_NaN();
      if (std::isnan(v)) continue;
      range.add(v);
      cells += fmt::format("{} {} {} \"{}\"\n", c, r, number(v), text_of(metric, v));
    }
  if (range.empty()) return std::nullopt;
  script.data = "$cells << END\n" + cells + "END\n";
  // As many of them as have room.
  const auto tics = [](const GridAxis& axis, std::size_t room) {
    const std::size_t step = (axis.words.size() + room - 1) / room;
    std::string out;
    for (std::size_t i = 0; i < axis.words.size(); i += step)
      out += fmt::format("{}{} {}", out.empty() ? "(" : ", ", plot_tic(axis.words[i]), i);
    return out + ")";
  };
  // Light to dark, in one hue: told apart without colour as well. A scale of one value would have no width.
  const double low = range.low,
               high = range.high > range.low ? range.high : range.low + std::max(1e-9, std::abs(range.low));
  const bool logarithmic = range.logarithmic() && metric.unit != MetricUnit::kShare;
  const double middle = logarithmic ? std::sqrt(low * high) : (low + high) / 2;
  const std::size_t num_columns = columns.words.size(), num_rows = rows.words.size();
  const bool numbers = num_columns <= 12 && num_rows <= 22;  // written into the cells; else a scale beside them
  script.body = fmt::format(
      "unset grid\nunset border\nset tics scale 0\nset xrange [-0.5:{}]\nset yrange [-0.5:{}]\n"
      "set xtics {}{}\nset ytics {}\nset xlabel {}\nset ylabel {}\n",
      static_cast<double>(num_columns) - 0.5, static_cast<double>(num_rows) - 0.5, tics(columns, 12),
      num_columns > 6 ? " rotate by -30" : "", tics(rows, 20), plot_text(columns.label), plot_text(rows.label));
  script.body += fmt::format(
      "set palette defined (0 '#f2f6fb', 0.5 '#7fb2d9', 1 '#084a7d')\nset cbrange [{}:{}]\n{}{}"
      "set style fill solid 1 noborder\nplot $cells using 1:2:({}):({}):3 with boxxyerror fc palette",
      number(low), number(high), logarithmic ? "set logscale cb\n" : "",
      numbers                            ? "unset colorbox\n"
      : metric.unit == MetricUnit::kTime ? "set format cb '%.1s %cs'\n"
                                         : "set format cb '%g'\n",
      numbers ? 0.48 : 0.5, numbers ? 0.46 : 0.5);
  if (numbers)
    script.body += fmt::format(
        ", $cells using ($3 < {0} ? $1 : 1/0):2:4 with labels font ',{1}' tc rgb '#101418'"
        ", $cells using ($3 >= {0} ? $1 : 1/0):2:4 with labels font ',{1}' tc rgb '#ffffff'",
        number(middle), num_columns > 6 ? 9 : 11);
  script.wide_height = script.narrow_height =
      std::clamp(90 + 30 * static_cast<int>(num_rows), 200, numbers ? 700 : 360);
  return script;
}

}  // namespace headroom
