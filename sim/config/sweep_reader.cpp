#include "sim/config/sweep_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "sim/config/catalogue.h"
#include "sim/config/quantity.h"
#include "sim/config/scenario_parts.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostValues = 10'000;
constexpr double kMostPoints = 10'000'000;
constexpr std::size_t kMostFailures = 2'000;  // of points that are tried when a sweep is read
constexpr double kLargest = 1e18;             // end of a range

struct Unit {
  Dimension dimension;
  std::string_view name;
};
constexpr Unit kUnits[] = {{Dimension::kSize, "B"},
                           {Dimension::kTime, "s"},
                           {Dimension::kRate, "1/s"},
                           {Dimension::kBandwidth, "B/s"},
                           {Dimension::kPower, "W"},
                           {Dimension::kCompute, "FLOP/s"},
                           {Dimension::kPricePerHour, "USD/h"}};

// What the text is a quantity of, in that unit; nothing when it is a word.
std::optional<std::pair<std::string_view, double>> quantity_in(const std::string& text) {
  if (const auto number = parse_number(text)) return {{"number", *number}};
  for (const Unit& unit : kUnits)
    if (const ParsedQuantity q = parse_quantity(text, unit.dimension); q.problem.empty()) return {{unit.name, q.value}};
  return std::nullopt;
}

std::string text_in(std::string_view unit, double value) {
  if (unit == "number") return print_number(value);
  if (unit == "1/s") return print_number(value) + "/s";
  if (unit == "B") return fmt::format("{} B", std::llround(value));
  return fmt::format("{} {}", print_number(value), unit);
}

// from, to, points, evenly spaced on a linear or a logarithmic scale; twelve digits, so that 8 to 256 in six is 8, 16,
// 32, ... and not 15.999999999999998.
std::vector<Value> values_of_range(const Map& map) {
  const Value from = map.at("from"), to = map.at("to");
  const auto first = quantity_in(from.text()), last = quantity_in(to.text());
  if (!first) from.fail(fmt::format("'{}' is neither a number nor a quantity", from.text()));
  if (!last || last->first != first->first)
    to.fail(fmt::format("'{}' is not of the kind of '{}'", to.text(), from.text()));
  const std::int64_t points = map.at("points").integer(2, std::int64_t{kMostValues});
  bool log = false, whole = false;
  if (const auto scale = map.find("scale")) {
    constexpr Choice<bool> kScales[] = {{"linear", false}, {"log", true}};
    log = choose(*scale, std::span<const Choice<bool>>(kScales), "scale");
  }
  if (const auto on = map.find("whole")) whole = on->boolean();
  map.done();
  const double a = first->second, b = last->second;
  const double smallest = std::min(std::abs(a), std::abs(b)), largest = std::max(std::abs(a), std::abs(b));
  if (largest > kLargest || (smallest > 0 && smallest < 1 / kLargest))
    (std::abs(a) == largest ? from : to).fail(fmt::format("a range goes from {} to {}", 1 / kLargest, kLargest));
  if (a == b) to.fail("is where the range begins");
  if (log && (a <= 0 || b <= 0)) (a <= 0 ? from : to).fail("must be above zero on a logarithmic scale");
  std::vector<Value> values;
  for (std::int64_t i = 0; i < points; ++i) {
    const double x = static_cast<double>(i) / static_cast<double>(points - 1);
    double value = log ? a * std::pow(b / a, x) : a + (b - a) * x;
    value = i == 0 ? a : i == points - 1 ? b : *parse_number(fmt::format("{:.12g}", value));
    if (whole) value = std::round(value);
    const std::string text = text_in(first->first, value);
    if (!values.empty() && values.back().text() == text) {
      if (whole) continue;  // steps below one
      map.at("points").fail("more than there are different values");
    }
    values.push_back(scalar_value(text, from));
  }
  return values;
}

Axis read_axis(const std::string& path, const Value& spec, const SourcePos& place) {
  if (path == "seed") throw ConfigError(place, "seed: give seeds beside the axes, as 'seeds'");
  if (path == "variants" || path == "name" || path == "description")
    throw ConfigError(place, fmt::format("{}: is no axis", path));
  Axis axis{path, {}, {}, {}};
  std::set<std::string> words;
  const auto add = [&](const Value& value, const std::string& word) {
    const std::string text = text_of(value);
    if (!words.insert(word).second) value.fail(fmt::format("{} stands here twice", word));
    axis.values.push_back({override_layer(path, value, place), text, word, {}});
  };
  const auto few = [&](std::size_t count) {
    if (count > kMostValues) spec.fail(fmt::format("{} values; expected at most {}", count, kMostValues));
  };
  if (spec.is_list()) {
    const std::vector<Value> items = spec.items();
    few(items.size());
    for (const Value& value : items) add(value, value.is_scalar() ? value.text() : text_of(value));
  } else if (!spec.is_map()) {
    spec.fail("expected a list, a range {from, to, points} or {named: {NAME: VALUE}}");
  } else if (spec.map().has("named")) {
    const Map map = spec.map(), named = map.map("named");
    const std::vector<std::string> names = named.keys();
    few(names.size());
    for (const std::string& name : names) add(named.at(name), name);
    map.done();
    if (axis.values.empty()) spec.fail("no value; expected at least one");
    return axis;  // names are words
  } else {
    for (const Value& value : values_of_range(spec.map())) add(value, value.text());
  }
  if (axis.values.empty()) spec.fail("no value; expected at least one");
  for (AxisValue& v : axis.values) {
    const auto q = quantity_in(v.word);
    if (!q || (!axis.unit.empty() && axis.unit != q->first)) {
      axis.unit.clear();
      break;
    }
    axis.unit = q->first;
    v.number = q->second;
  }
  if (axis.unit.empty())
    for (AxisValue& v : axis.values) v.number.reset();
  return axis;
}

std::string text_of_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// What is wrong with the point, if anything. That a model does not fit on a card is nothing wrong.
std::exception_ptr problem_of(const SweepFile& sweep, const SweepPoint& point, Shelf& shelf) {
  try {
    load_point(sweep, point, shelf);
  } catch (const DoesNotFit&) {
  } catch (const ConfigError&) {
    return std::current_exception();
  } catch (const WorkloadError&) {
    return std::current_exception();
  }
  return nullptr;
}

class SweepReader {
 public:
  SweepReader(const std::string& file, Shelf& shelf, const std::vector<std::string>& overrides)
      : file_(file), shelf_(shelf), overrides_(overrides), map_(shelf.yaml(file).map()) {}

  SweepFile read() {
    sweep_.definition = text_of_file(file_);
    sweep_.name = fs::path(file_).stem().string();
    if (const auto name = map_.find("name")) sweep_.name = name->text();
    map_.find("description");
    read_scenario();
    if (map_.has("set")) {
      const Map set = map_.map("set");
      for (const std::string& path : set.keys())
        sweep_.common.push_back(override_layer(path, set.at(path), set.key_pos(path)));
    }
    for (const std::string& text : overrides_) {
      sweep_.common.push_back(override_layer(text));
      sweep_.definition += "# --set " + text + "\n";
    }
    read_axes();
    read_seeds();
    map_.done();
    double points = 1;
    for (const std::size_t length : sweep_.lengths) points *= static_cast<double>(length);
    points *= static_cast<double>(sweep_.variants.size() * std::max<std::size_t>(1, sweep_.seeds.size()));
    if (points > kMostPoints) map_.fail(fmt::format("{:.3g} points; expected at most {:.0f}", points, kMostPoints));
    try_values(sweep_, shelf_);
    return std::move(sweep_);
  }

 private:
  void read_scenario() {
    const Value scenario = map_.at("scenario");
    sweep_.scenario_file = catalogue_file("scenarios", scenario);
    sweep_.scenario = text_of_file(sweep_.scenario_file);
    const Map map = shelf_.yaml(sweep_.scenario_file).map();
    sweep_.variants = map.has("variants") ? map.map("variants").keys() : std::vector<std::string>{""};
  }

  void add_axis(const Map& map, const std::string& path, std::size_t dimension) {
    const SourcePos place = map.key_pos(path);
    if (!paths_.insert(path).second) throw ConfigError(place, fmt::format("{}: is an axis already", path));
    sweep_.axes.push_back(read_axis(path, map.at(path), place));
    Axis& axis = sweep_.axes.back();
    axis.dimension = dimension;
    if (dimension == sweep_.lengths.size()) {
      sweep_.lengths.push_back(axis.values.size());
    } else if (sweep_.lengths[dimension] != axis.values.size()) {
      throw ConfigError(place, fmt::format("{}: {} values beside {}; axes that vary together have equally many", path,
                                           axis.values.size(), sweep_.lengths[dimension]));
    }
  }

  void read_axes() {
    const Map axes = map_.map("axes");
    for (const std::string& path : axes.keys()) add_axis(axes, path, sweep_.lengths.size());
    if (const auto zip = map_.find("zip"))
      for (const Value& group : zip->items()) {
        const std::size_t dimension = sweep_.lengths.size();
        const Map map = group.map();
        for (const std::string& path : map.keys()) add_axis(map, path, dimension);
      }
    if (sweep_.axes.empty() && sweep_.variants.size() == 1 && !map_.has("seeds"))
      map_.fail("nothing varies; expected 'axes', 'zip' or 'seeds'");
  }

  void read_seeds() {
    const auto seeds = map_.find("seeds");
    if (!seeds) return;
    if (seeds->is_list()) {
      std::set<std::uint64_t> once;
      for (const Value& seed : seeds->items()) {
        sweep_.seeds.push_back(static_cast<std::uint64_t>(seed.integer(0, std::int64_t{1} << 53)));
        if (!once.insert(sweep_.seeds.back()).second) seed.fail("stands here twice");
      }
      if (sweep_.seeds.empty()) seeds->fail("no seed; expected at least one");
      return;
    }
    const auto count = static_cast<std::uint64_t>(seeds->integer(1, 1'000'000));
    for (std::uint64_t seed = 0; seed < count; ++seed) sweep_.seeds.push_back(seed);
  }

  const std::string& file_;
  Shelf& shelf_;
  const std::vector<std::string>& overrides_;
  Map map_;
  SweepFile sweep_;
  std::set<std::string> paths_;
};

}  // namespace

std::size_t SweepFile::num_points() const {
  std::size_t points = variants.size() * std::max<std::size_t>(1, seeds.size());
  for (const std::size_t length : lengths) points *= length;
  return points;
}

SweepPoint SweepFile::point(std::size_t id) const {
  SweepPoint p;
  if (!seeds.empty()) {
    p.seed = seeds[id % seeds.size()];
    id /= seeds.size();
  }
  p.variant = variants[id % variants.size()];
  id /= variants.size();
  std::vector<std::size_t> digits(lengths.size());
  for (std::size_t d = lengths.size(); d-- > 0; id /= lengths[d]) digits[d] = id % lengths[d];
  for (const Axis& axis : axes) p.at.push_back(digits[axis.dimension]);
  return p;
}

void try_values(SweepFile& sweep, Shelf& shelf) {
  const std::size_t seeds = std::max<std::size_t>(1, sweep.seeds.size());
  const std::size_t points = sweep.num_points() / seeds;  // without regard to seeds
  std::size_t stride = points, failures = 0;
  std::exception_ptr first_problem;
  std::vector<std::size_t> lengths = sweep.lengths;
  lengths.push_back(sweep.variants.size());
  for (const std::size_t length : lengths) {
    const std::size_t block = stride;
    stride /= length;
    for (std::size_t value = 0; value < length; ++value) {
      first_problem = nullptr;
      bool good = false;
      for (std::size_t outer = 0; outer < points && !good; outer += block)
        for (std::size_t inner = 0; inner < stride && !good; ++inner) {
          if (failures > kMostFailures) std::rethrow_exception(first_problem);
          const std::size_t id = (outer + value * stride + inner) * seeds;
          const std::exception_ptr problem = problem_of(sweep, sweep.point(id), shelf);
          good = problem == nullptr;
          failures += good ? 0 : 1;
          if (good) sweep.probes.push_back(id);
          if (!first_problem) first_problem = problem;
        }
      if (!good) std::rethrow_exception(first_problem);
    }
  }
}

SweepFile read_sweep(const std::string& file, Shelf& shelf, const std::vector<std::string>& overrides) {
  return SweepReader(file, shelf, overrides).read();
}

Scenario load_point(const SweepFile& sweep, const SweepPoint& point, Shelf& shelf) {
  LoadOptions options;
  options.layers = sweep.common;
  for (std::size_t i = 0; i < sweep.axes.size(); ++i) options.layers.push_back(sweep.axes[i].values[point.at[i]].layer);
  options.seed = point.seed;
  if (!point.variant.empty()) options.only_variant = point.variant;
  return std::move(load_scenario(sweep.scenario_file, options, shelf).variants.front().second);
}

Axis axis_from_text(const std::string& assignment, const std::string& origin) {
  const std::size_t equals = assignment.find('=');
  const SourcePos place{fmt::format("{} {}", origin, assignment), 0, 0};
  if (equals == std::string::npos || equals == 0)
    throw ConfigError(place, "expected PATH=[VALUE, ...] or PATH={from: .., to: .., points: ..}");
  return read_axis(assignment.substr(0, equals), parse_value(assignment.substr(equals + 1), place), place);
}

}  // namespace headroom
