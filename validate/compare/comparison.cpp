#include "validate/compare/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/config/errors.h"
#include "sim/config/quantity.h"
#include "sim/engine/simulation.h"

namespace headroom {
namespace {

std::string_view family_of(std::string_view name) {
  return name.substr(0, name.find('.'));
}

bool holds(const ErrorBound& bound, std::string_view name) {
  return bound.name == "all" || belongs_to(name, bound.name);
}

}  // namespace

double relative_error(double predicted, double measured) {
  if (measured == 0) return predicted == 0 ? 0 : std::numeric_limits<double>::infinity();
  return predicted / measured - 1;
}

ComparedCase compare(const MeasuredCase& measured) {
  ComparedCase result{&measured, {}};
  const Scenario& s = measured.scenario;
  const RunResult run = simulate(s, workload_of(s));
  const Summary summary = summarize(run, s.hardware, {});
  const Intervals intervals = simulate_intervals(s);
  for (const MeasuredValue& m : measured.values) {
    ComparedValue v;
    v.measured = m;
    v.predicted = m.measure->of(s, run, summary);
    v.error = relative_error(v.predicted, m.value);
    if (const auto found = intervals.find(m.measure->name); found != intervals.end()) {
      v.interval = found->second;
      v.has_width = v.interval.high > v.interval.low;
      v.inside = v.interval.low <= m.value && m.value <= v.interval.high;
    }
    result.values.push_back(v);
  }
  return result;
}

std::vector<FamilyErrors> errors_by_family(std::span<const ComparedCase> cases) {
  std::vector<FamilyErrors> families;
  std::vector<double> errors;
  for (const Measure& m : measures()) {
    const std::string_view family = family_of(m.name);
    const auto same = [&](const FamilyErrors& f) { return f.family == family; };
    if (std::any_of(families.begin(), families.end(), same)) continue;
    FamilyErrors f;
    f.family = family;
    errors.clear();
    for (const ComparedCase& c : cases)
      for (const ComparedValue& v : c.values) {
        if (family_of(v.measured.measure->name) != family) continue;
        errors.push_back(std::isnan(v.error) ? std::numeric_limits<double>::infinity() : std::abs(v.error));
        f.with_interval += v.has_width;
        f.inside += v.has_width && v.inside;
      }
    if (errors.empty()) continue;
    std::sort(errors.begin(), errors.end());
    f.values = static_cast<std::int64_t>(errors.size());
    f.median = percentile(errors, 50);
    f.worst = errors.back();
    families.push_back(f);
  }
  return families;
}

ErrorBound parse_bound(const std::string& text) {
  const SourcePos place{"--max-error " + text, 0, 0};
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) throw ConfigError(place, "expected METRIC=5%");
  ErrorBound bound{text.substr(0, equals), 0};
  std::string number = text.substr(equals + 1);
  const bool percent = number.ends_with('%');
  if (percent) number.pop_back();
  while (number.ends_with(' ')) number.pop_back();
  const auto most = parse_number(number);
  if (!most || *most < 0) throw ConfigError(place, fmt::format("'{}' is no share; expected for example 5%", number));
  bound.most = percent ? *most / 100 : *most;
  std::vector<std::string_view> known{"all"};
  for (const Measure& m : measures()) {
    if (holds(bound, m.name)) return bound;
    known.push_back(m.name);
  }
  throw ConfigError(place, fmt::format("no metric '{}'{}", bound.name, suggestion(bound.name, known)));
}

std::vector<Violation> violations(std::span<const ComparedCase> cases, std::span<const ErrorBound> bounds) {
  std::vector<Violation> found;
  for (const ErrorBound& bound : bounds) {
    bool used = false;
    for (const ComparedCase& c : cases)
      for (const ComparedValue& v : c.values) {
        if (!holds(bound, v.measured.measure->name)) continue;
        used = true;
        if (!(std::abs(v.error) <= bound.most)) found.push_back({&c, &v, bound.most});  // NaN is a violation
      }
    if (!used)
      throw ConfigError({"--max-error " + bound.name, 0, 0}, "none of the files has a measured value it could bound");
  }
  return found;
}

}  // namespace headroom
