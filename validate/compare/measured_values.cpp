#include "validate/compare/measured_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/workload/text_file.h"
#include "validate/compare/csv_table.h"

namespace headroom {
namespace {

using Json = nlohmann::json;

std::string suggestion_for_measure(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Measure& m : measures()) known.push_back(m.name);
  return suggestion(name, known);
}

double quantity_of(const Value& value, Dimensions dimension) {
  switch (dimension) {
    case Dimensions::kTime:
      return value.time().count();
    case Dimensions::kRate:
      return value.rate();
    case Dimensions::kSize:
      return static_cast<double>(value.size().count());
    case Dimensions::kCount:
      break;
  }
  return value.number(0, 1e18);
}

MeasuredValue repeated(const Measure& measure, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  MeasuredValue m{&measure, values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2, -1};
  if (values.size() > 1 && m.value != 0) m.spread = (values.back() - values.front()) / 2 / m.value;
  return m;
}

void add(MeasuredValues& values, std::string_view name, double value) {
  const Measure* measure = measure_named(name);
  if (measure != nullptr) values[measure->name] = MeasuredValue{measure, value, -1};
}

// What a benchmark says is flat and what a run says is nearly so; deep values could not even be copied.
Json read_json(const std::string& path) {
  constexpr int kMostDepth = 32;
  const auto within = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMostDepth) throw WorkloadError(path, 0, "nested more than 32 levels deep");
    return true;
  };
  Json json = Json::parse(read_text(path), within, false);
  if (!json.is_object()) throw WorkloadError(path, 0, "not JSON, or no object; the file may be cut off");
  return json;
}

}  // namespace

MeasuredValues values_of(const Map& metrics) {
  MeasuredValues values;
  for (const std::string& name : metrics.keys()) {
    const Value value = metrics.at(name);
    const Measure* measure = measure_named(name);
    if (measure == nullptr) value.fail(fmt::format("no metric '{}'{}", name, suggestion_for_measure(name)));
    std::vector<double> repeats;
    if (value.is_list()) {
      for (const Value& item : value.items()) repeats.push_back(quantity_of(item, measure->dimension));
      if (repeats.empty()) value.fail("an empty list; expected repeats of the measurement");
    } else {
      repeats.push_back(quantity_of(value, measure->dimension));
    }
    values[measure->name] = repeated(*measure, std::move(repeats));
  }
  return values;
}

MeasuredValues values_of_requests(const std::string& path) {
  const CsvTable table(path);
  const auto column = [&](const char* name) {
    const auto found = table.column(name);
    if (!found) table.fail(1, fmt::format("no column '{}' in the header", name));
    return *found;
  };
  const std::size_t arrival = column("arrival_s"), first = column("first_token_s"), finish = column("finish_s");
  const std::size_t prompt = column("prompt_tokens"), output = column("output_tokens");
  const auto scheduled = table.column("scheduled_s"), status = table.column("status");
  RunResult run;
  double origin = table.number(0, arrival);  // a replayed trace starts with its first request
  for (std::size_t i = 1; i < table.rows(); ++i) origin = std::min(origin, table.number(i, arrival));
  for (std::size_t i = 0; i < table.rows(); ++i) {
    RequestRecord r;
    const auto count = [&](std::size_t at) {
      const double value = table.number(i, at);
      if (value < 0 || value > 2e9 || value != std::floor(value))
        table.fail(table.line(i), fmt::format("{}: expected a whole number of tokens", table.header()[at]));
      return static_cast<std::int32_t>(value);
    };
    r.arrival = table.number(i, arrival);
    r.prompt_tokens = count(prompt);
    r.output_tokens = count(output);
    if ((status && table.text(i, *status) != "finished") || table.text(i, finish).empty() || r.output_tokens == 0) {
      r.status = RequestStatus::kRejected;
    } else {
      r.first_token = table.number(i, first);
      r.finish = table.number(i, finish);
      r.scheduled = scheduled ? table.number(i, *scheduled) : r.arrival;
      if (r.first_token < r.arrival || r.finish < r.first_token)
        table.fail(table.line(i), "expected arrival_s <= first_token_s <= finish_s");
      run.duration = std::max(run.duration, r.finish - origin);
    }
    run.requests.push_back(r);
  }
  const Scenario none;
  const Summary summary = summarize(run, none.hardware, {});
  if (summary.completed == 0) throw WorkloadError(path, 0, "no request was finished");
  MeasuredValues values;
  for (const Measure& m : measures()) {
    if (m.planned || m.name == "preemptions" || m.name == "mean_batch" || m.name == "token_states") continue;
    if (!scheduled && belongs_to(m.name, "queue_s")) continue;
    if (m.name.ends_with(".max")) continue;  // a single request says little of a run
    if (const double value = m.of(none, run, summary); !std::isnan(value)) add(values, m.name, value);
  }
  return values;
}

MeasuredValues values_of_bench(const std::string& path) {
  const Json json = read_json(path);
  MeasuredValues values;
  const auto take = [&](const std::string& key, std::string_view name, double factor) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) return;
    if (!found->is_number()) throw WorkloadError(path, 0, fmt::format("{}: expected a number", key));
    add(values, name, found->get<double>() * factor);
  };
  take("duration", "duration_s", 1);
  take("request_throughput", "requests_per_s", 1);
  take("output_throughput", "output_tokens_per_s", 1);
  take("total_token_throughput", "total_tokens_per_s", 1);
  for (const char* law : {"ttft", "tpot", "itl", "e2el"})
    for (const auto& [theirs, ours] :
         {std::pair{"mean", "mean"}, {"median", "p50"}, {"p90", "p90"}, {"p95", "p95"}, {"p99", "p99"}})
      take(fmt::format("{}_{}_ms", theirs, law), fmt::format("{}_s.{}", law, ours), 1e-3);
  if (values.empty())
    throw WorkloadError(path, 0, "no result of vLLM's benchmark client: request_throughput is missing");
  return values;
}

MeasuredValues values_of_summary(const std::string& path) {
  const Json json = read_json(path);
  MeasuredValues values;
  const auto take = [&](const Json& object, const std::string& key, std::string_view name) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_number()) add(values, name, found->get<double>());
  };
  const auto part = [&](const char* name) { return json.contains(name) ? json[name] : Json::object(); };
  take(json, "duration_s", "duration_s");
  for (const Measure& m : measures()) {
    const std::string name(m.name);
    for (const char* section : {"throughput", "scheduler", "memory"}) take(part(section), name, m.name);
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) continue;
    const Json latency = part("latency");
    const std::string law = name.substr(0, dot);
    // A run that finished no request of more than one token has zeros there: nothing was measured.
    const Json figures = latency.contains(law) ? latency[law] : Json();
    if (figures.is_object() && figures.contains("max") && figures["max"].is_number() && figures["max"] > 0)
      take(figures, name.substr(dot + 1), m.name);
  }
  values.erase("num_gpu_blocks");  // engines without blocks write zero; the pool's tokens say the same
  if (values.empty()) throw WorkloadError(path, 0, "no summary of a run: latency and throughput are missing");
  return values;
}

std::vector<MeasuredValue> in_order(const MeasuredValues& values) {
  std::vector<MeasuredValue> list;
  for (const Measure& m : measures())
    if (const auto found = values.find(m.name); found != values.end()) list.push_back(found->second);
  return list;
}

}  // namespace headroom
