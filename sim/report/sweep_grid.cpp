#include "sim/report/sweep_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "models/units.h"
#include "sim/config/quantity.h"
#include "sim/output/texts.h"

namespace headroom {
namespace {

std::string column_of(std::string_view path) {
  std::string name(path);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

std::string word_of(const SweepAxisValues& axis, std::size_t i) {
  if (axis.unit.empty()) return axis.words[i];
  const double v = axis.numbers[i];
  if (axis.unit == "B") return size_text(Bytes{static_cast<std::int64_t>(v)});
  if (axis.unit == "s") return time_text(v);
  if (axis.unit == "1/s") return fmt::format("{:.3g}/s", v);
  return axis.unit == "number" ? fmt::format("{:g}", v) : fmt::format("{:.4g} {}", v, axis.unit);
}

}  // namespace

double GridCell::mean(std::string_view path) const {
  const Figure* f = figure(path);
  return f != nullptr ? f->mean : std::numeric_limits<double>::quiet_NaN();
}

const GridCell::Figure* GridCell::figure(std::string_view path) const {
  const auto found = figures.find(column_of(path));
  return found != figures.end() ? &found->second : nullptr;
}

const GridCell* SweepGrid::cell(const std::vector<std::size_t>& at) const {
  const auto found =
      std::lower_bound(cells.begin(), cells.end(), at, [](const GridCell& c, const auto& key) { return c.at < key; });
  return found != cells.end() && found->at == at ? &*found : nullptr;
}

std::string SweepGrid::name_of(const GridCell& cell, std::size_t except) const {
  std::string name;
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    if (d == except) continue;
    const GridAxis& axis = dimensions[d];
    const std::string& label = axis.label;
    const std::string last = label.substr(label.rfind('.') == std::string::npos ? 0 : label.rfind('.') + 1);
    name += (name.empty() ? "" : ", ") + (axis.numbers.empty() ? "" : last + " ") + axis.words[cell.at[d]];
  }
  return name;
}

SweepGrid grid_of(const SweepResults& sweep) {
  SweepGrid grid;
  std::vector<std::size_t> leaders;  // the axis that gives a dimension its position
  for (std::size_t a = 0; a < sweep.axes.size(); ++a) {
    const SweepAxisValues& axis = sweep.axes[a];
    if (axis.words.size() < 2) continue;
    const auto with = std::find_if(leaders.begin(), leaders.end(),
                                   [&](std::size_t l) { return axis.zip && sweep.axes[l].zip == axis.zip; });
    if (with != leaders.end()) {  // zipped: no numbers of its own
      GridAxis& d = grid.dimensions[static_cast<std::size_t>(with - leaders.begin())];
      d.label += " + " + axis.path;
      d.numbers.clear();
      d.unit.clear();
      for (std::size_t i = 0; i < d.words.size(); ++i) d.words[i] += ", " + word_of(axis, i);
      continue;
    }
    GridAxis d{axis.path, {}, axis.numbers, axis.unit == "number" ? "" : axis.unit};
    for (std::size_t i = 0; i < axis.words.size(); ++i) d.words.push_back(word_of(axis, i));
    grid.dimensions.push_back(std::move(d));
    leaders.push_back(a);
  }
  std::vector<std::string> variants;
  for (const SweepPointResult& p : sweep.points)
    if (std::find(variants.begin(), variants.end(), p.variant) == variants.end()) variants.push_back(p.variant);
  if (variants.size() > 1) grid.dimensions.push_back({"variant", variants, {}, ""});

  std::map<std::vector<std::size_t>, GridCell> cells;
  for (const SweepPointResult& p : sweep.points) {
    if (p.failed) continue;
    std::vector<std::size_t> at;
    for (const std::size_t a : leaders) at.push_back(p.at[a]);
    if (variants.size() > 1)
      at.push_back(static_cast<std::size_t>(std::find(variants.begin(), variants.end(), p.variant) - variants.begin()));
    GridCell& cell = cells[at];
    cell.at = at;
    ++cell.seeds;
    for (const auto& [name, value] : p.figures) {
      const auto [entry, is_new] = cell.figures.emplace(name, GridCell::Figure{0, value, value});
      GridCell::Figure& f = entry->second;
      f.mean += (value - f.mean) / static_cast<double>(cell.seeds);
      f.low = std::min(f.low, value);
      f.high = std::max(f.high, value);
    }
  }
  for (auto& [at, cell] : cells) grid.cells.push_back(std::move(cell));
  return grid;
}

}  // namespace headroom
