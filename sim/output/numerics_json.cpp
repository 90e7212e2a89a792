#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/output/numerics_report.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

// Infinite when nothing is lost; JSON has no infinity: null.
Json db(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}
Json db(const std::optional<double>& value) {
  return value ? db(*value) : Json(nullptr);
}

Json object(const Tally& t) {
  return {{"values", t.values},
          {"not_finite", t.not_finite},
          {"overflow", t.overflow},
          {"underflow_to_zero", t.underflow},
          {"subnormal", t.subnormal},
          {"largest", t.largest},
          {"smallest", t.smallest},
          {"sqnr_db", db(t.sqnr_db())},
          {"relative_error", {{"mean", t.mean_relative_error()}, {"max", t.relative_largest}}}};
}

Json object(const TensorReport& t) {
  Json j{{"file", t.file},
         {"name", t.name},
         {"type", t.type_name},
         {"shape", t.shape},
         {"stored_bytes", t.stored.count()},
         {"converted_bytes", t.converted.count()},
         {"kept", t.kept},
         {"breaks", t.breaks}};
  j.update(object(t.tally));
  j["worst_channels"] = Json::array();
  for (const ChannelTally& c : t.worst) {
    Json channel{{"channel", c.channel}};
    channel.update(object(c.tally));
    j["worst_channels"].push_back(channel);
  }
  if (t.breaks) {
    j["bfloat16_sqnr_db"] = db(t.bfloat16_sqnr_db);
    if (t.scaled_sqnr_db) j["scaled"] = {{"scale", t.scale}, {"sqnr_db", db(t.scaled_sqnr_db)}};
  }
  return j;
}

Json list(const CalibrationReport& report, const std::vector<RangeQuality>& qualities) {
  Json all = Json::array();
  for (const RangeQuality& q : qualities) {
    Json tasks = Json::object();
    for (std::size_t i = 0; i < report.tasks.size(); ++i)
      tasks[report.tasks[i]] = {{"sqnr_db", db(q.tasks[i].sqnr_db)}, {"clipped_fraction", q.tasks[i].clipped}};
    Json j{{"name", q.name},
           {"samples", q.set_size},
           {"granularity", name_of(q.granularity)},
           {"observer", name_of(q.observer)},
           {"clip", q.clip > 0 ? Json(q.clip) : Json(nullptr)},
           {"worst_kept_sqnr_db", db(q.worst_sqnr_db)},
           {"tasks", tasks}};
    all.push_back(j);
  }
  return all;
}

// Names in a tensor file may be any bytes; JSON wants UTF-8.
std::string text(const Json& j) {
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string cast_json(const CastReport& report, const std::optional<CastCosts>& costs) {
  Json j{{"to", entry_of(report.options.to).name},      {"saturating", report.options.overflow == Overflow::kSaturate},
         {"min_sqnr_db", report.options.min_sqnr_db},   {"stored_bytes", report.stored.count()},
         {"converted_bytes", report.converted.count()}, {"total", object(report.total)},
         {"broken_tensors", report.num_broken()}};
  j["remedies"] = Json::array();
  const std::vector<Remedy> choices = remedies(report);
  for (const Remedy& r : choices) {
    Json remedy{{"name", r.name},
                {"bytes", r.bytes.count()},
                {"loses_values", !r.worst_sqnr_db},
                {"worst_sqnr_db", db(r.worst_sqnr_db)}};
    if (costs) {
      remedy["hardware"] = costs->hardware.name;
      remedy["fraction_of_memory"] = r.bytes / costs->hardware.memory;
      remedy["read_time_s"] = costs->read_time(r.bytes).count();
      if (costs->kv_per_token)
        remedy["kv_tokens_less"] = static_cast<double>((r.bytes - choices.front().bytes).count()) /
                                   static_cast<double>(costs->kv_per_token->count());
    }
    j["remedies"].push_back(remedy);
  }
  j["tensors"] = Json::array();
  for (const TensorReport& t : report.tensors) j["tensors"].push_back(object(t));
  j["not_read"] = report.not_read;
  return text(j);
}

std::string calibration_json(const CalibrationReport& report) {
  Json j{{"to", entry_of(report.options.quantization.to).name},
         {"observer", name_of(report.options.observer)},
         {"percentile", report.options.quantization.percentile},
         {"draws", report.options.draws},
         {"seed", report.options.seed}};
  j["tasks"] = Json::array();
  for (std::size_t i = 0; i < report.tasks.size(); ++i)
    j["tasks"].push_back({{"name", report.tasks[i]}, {"pool_samples", report.pool[i]}, {"kept", bool{report.kept[i]}}});
  j["observers"] = list(report, report.observers);
  j["sets"] = list(report, report.sets);
  j["sizes"] = list(report, report.sizes);
  for (const auto& [name, samples] : report.stops_helping) j["stops_helping_at_samples"][name] = samples;
  return text(j);
}

}  // namespace headroom
