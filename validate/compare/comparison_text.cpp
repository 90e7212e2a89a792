#include "validate/compare/comparison_text.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/output/measure_text.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

std::string title_of(const MeasuredCase& c) {
  return c.name.empty() ? c.title : c.title + ": " + c.name;
}

std::string error_text(double error) {
  if (std::isnan(error)) return "-";
  return std::isinf(error) ? "inf" : fmt::format("{:+.1f} %", 100 * error);
}

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace

std::string comparison_table(std::span<const ComparedCase> cases) {
  std::string text;
  for (const ComparedCase& c : cases) {
    text += fmt::format("{}{}\n", title_of(*c.measured), c.measured->fitted ? "  (used for fitting)" : "");
    text += fmt::format("  {:<28}{:>12}{:>8}{:>12}{:>10}  {}\n", "", "measured", "spread", "predicted", "error",
                        "90 % interval");
    for (const ComparedValue& v : c.values) {
      const Dimensions d = v.measured.measure->dimension;
      const std::string spread = v.measured.spread < 0 ? "-" : fmt::format("{:.1f} %", 100 * v.measured.spread);
      const std::string interval = v.has_width
                                       ? fmt::format("{} to {}{}", measure_text(d, v.interval.low),
                                                     measure_text(d, v.interval.high), v.inside ? "" : "  outside")
                                       : "exact";
      text += fmt::format("  {:<28}{:>12}{:>8}{:>12}{:>10}  {}\n", v.measured.measure->name,
                          measure_text(d, v.measured.value), spread, measure_text(d, v.predicted), error_text(v.error),
                          interval);
    }
  }
  text +=
      fmt::format("\n{:<30}{:>8}{:>14}{:>12}{:>24}\n", "", "values", "median error", "worst", "inside 90 % interval");
  for (const FamilyErrors& f : errors_by_family(cases))
    text += fmt::format("{:<30}{:>8}{:>12.1f} %{:>12}{:>24}\n", f.family, f.values, 100 * f.median,
                        std::isinf(f.worst) ? "inf" : fmt::format("{:.1f} %", 100 * f.worst),
                        f.with_interval == 0 ? "-" : fmt::format("{} of {}", f.inside, f.with_interval));
  return text;
}

std::string comparison_json(std::span<const ComparedCase> cases) {
  Json j;
  j["interval_level"] = kIntervalLevel;
  j["cases"] = Json::array();
  for (const ComparedCase& c : cases) {
    const MeasuredCase& m = *c.measured;
    Json entry = {{"title", m.title},
                  {"case", m.name},
                  {"part", m.fitted ? "fit" : "judge"},
                  {"source", m.source},
                  {"note", m.note},
                  {"model", m.scenario.model.name},
                  {"hardware", m.scenario.hardware.name},
                  {"engine", m.scenario.engine.preset},
                  {"ground", name_of(ground_of(m.scenario))},
                  {"values", Json::array()}};
    for (const ComparedValue& v : c.values)
      entry["values"].push_back(
          {{"metric", v.measured.measure->name},
           {"measured", v.measured.value},
           {"spread", v.measured.spread < 0 ? Json(nullptr) : Json(v.measured.spread)},
           {"predicted", number_or_null(v.predicted)},
           {"error", number_or_null(v.error)},
           {"interval", v.has_width ? Json{v.interval.low, v.interval.high} : Json(nullptr)},
           {"drawn", v.has_width ? Json{v.interval.drawn_low, v.interval.drawn_high} : Json(nullptr)},
           {"inside", v.has_width ? Json(v.inside) : Json(nullptr)}});
    j["cases"].push_back(entry);
  }
  j["families"] = Json::array();
  for (const FamilyErrors& f : errors_by_family(cases))
    j["families"].push_back({{"family", f.family},
                             {"values", f.values},
                             {"median_error", number_or_null(f.median)},
                             {"worst_error", number_or_null(f.worst)},
                             {"with_interval", f.with_interval},
                             {"inside", f.inside}});
  return j.dump(2) + "\n";
}

std::string violation_text(const Violation& v) {
  return fmt::format("{}: {} is off by {}, more than {:.3g} %", title_of(*v.where->measured),
                     v.value->measured.measure->name, error_text(v.value->error), 100 * v.most);
}

}  // namespace headroom
