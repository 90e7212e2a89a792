// headroom numerics: what a cast or a static quantization does to the numbers in files, and what it costs to avoid it.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <sstream>

#include "sim/commands/scenario_options.h"
#include "sim/config/catalogue.h"
#include "sim/config/scenario_derive.h"
#include "sim/numerics/calibration.h"
#include "sim/numerics/cast_report.h"
#include "sim/output/numerics_report.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init add) {
  const auto text = [] { return po::value<std::string>(); };
  std::string formats;
  for (const NumberFormatEntry& entry : number_formats())
    formats += (formats.empty() ? "" : ", ") + std::string(entry.name);
  add("to", text(), ("the format: " + formats).c_str());
  add("json", po::bool_switch(), "print JSON instead of tables");
  // A cast or a quantization of the tensors of FILE.
  add("saturate", po::bool_switch(), "cut what is too large instead of making it infinite");
  add("group-size", po::value<std::int64_t>(), "numbers that share a scale in awq and gptq (128)");
  add("min-sqnr", po::value<double>(), "dB below which a tensor counts as broken (20)");
  add("channels", text(),
      "the axis of channels: first (outputs of weights), last (activations); by file kind if not given");
  add("keep", po::value<Words>()->composing(),
      "tensors whose names match this glob pattern stay as stored; may be repeated");
  add("top", po::value<std::int64_t>(), "so many tensors in the table, worst first (20); 0: all");
  add("hardware", text(), "a card: share of its memory, time to read the weights once");
  add("scenario", text(), "a scenario: its card, and how much KV cache the extra bytes displace");
  // Static quantization of recorded activations; FILEs are then judged only.
  add("calibration", po::value<Words>()->composing(),
      "TASK=FILE.npy: recorded activations to learn ranges from; repeat for each task");
  add("tasks", text(), "TASK,TASK: those that must stay good (all)");
  add("observer", text(), "of the calibration sets: min-max, percentile, mse, entropy (mse)");
  add("percentile", po::value<double>(), "of the percentile observer (99.99)");
  add("set-size", po::value<std::int64_t>(), "samples in a calibration set (32)");
  add("draws", po::value<std::int64_t>(), "random sets of each kind, averaged (8)");
  add("seed", po::value<std::uint64_t>(), "of the random sets (0)");
}

// An option that this use of the command would ignore is an error.
void refuse(const Values& values, std::initializer_list<const char*> options, const char* why) {
  for (const char* name : options)
    if (values.count(name) != 0 && !(values[name].value().type() == typeid(bool) && !values[name].as<bool>()))
      throw po::error(fmt::format("--{} {}", name, why));
}

template <class T>
T in_range(const Values& values, const char* name, T otherwise, T least, T most) {
  if (values.count(name) == 0) return otherwise;
  const T value = values[name].as<T>();
  if (!(value >= least && value <= most))
    throw po::error(fmt::format("--{}: {} is not between {} and {}", name, value, least, most));
  return value;
}

NumberFormat format_of(const Values& values) {
  std::vector<std::string_view> known;
  for (const NumberFormatEntry& entry : number_formats()) known.push_back(entry.name);
  const std::string name = text_of(values, "to");
  if (name.empty()) throw po::error("--to is missing" + suggestion("", known));
  const auto format = number_format_named(name);
  if (!format) throw po::error(fmt::format("--to: no format '{}'{}", name, suggestion(name, known)));
  return *format;
}

HardwareProfile card_named(const std::string& name) {
  if (name.ends_with(".yaml") || name.ends_with(".yml")) return read_hardware(name);
  const std::vector<std::string> names = catalogue_names("hardware");
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw po::error(fmt::format("--hardware: no card '{}'{}", name,
                                suggestion(name, std::vector<std::string_view>(names.begin(), names.end()))));
  return read_hardware(configs_folder() + "/hardware/" + name + ".yaml");
}

std::optional<CastCosts> costs_of(const Values& values) {
  if (values.count("scenario") != 0) {
    refuse(values, {"hardware"}, "and --scenario name two cards");
    const ScenarioFile file = load_scenario(text_of(values, "scenario"), {});
    const Scenario& s = file.variants.front().second;
    const MemoryPlan plan = plan_memory(s.model, s.hardware, memory_plan_input(s));
    return CastCosts{s.hardware, plan.kv_per_token, plan.kv_pool_tokens};
  }
  if (values.count("hardware") != 0) return CastCosts{card_named(text_of(values, "hardware")), std::nullopt, Tokens{0}};
  return std::nullopt;
}

int cast(const Values& values, const Words& files) {
  refuse(values, {"tasks", "observer", "percentile", "set-size", "draws", "seed"}, "needs --calibration");
  if (files.empty()) throw po::error("expected FILE.safetensors or FILE.npy");
  CastReport report;
  CastOptions& o = report.options;
  o.to = format_of(values);
  if (values["saturate"].as<bool>()) o.overflow = Overflow::kSaturate;
  if (entry_of(o.to).block != 0) refuse(values, {"group-size"}, "is of awq and gptq only");
  if (is_scaled(o.to)) refuse(values, {"saturate"}, "means nothing where scales follow the largest value");
  o.group = in_range<std::int64_t>(values, "group-size", 128, 8, 65'536);
  o.min_sqnr_db = in_range<double>(values, "min-sqnr", 20, -200, 400);
  if (values.count("keep") != 0) o.keep = values["keep"].as<Words>();
  if (const std::string axis = text_of(values, "channels"); !axis.empty()) {
    if (axis != "first" && axis != "last") throw po::error("--channels: expected first or last");
    o.axis = axis == "first" ? ChannelAxis::kFirst : ChannelAxis::kLast;
  }
  const std::optional<CastCosts> costs = costs_of(values);
  for (const std::string& path : files) add_file(TensorFile(path), report);
  const auto rows = static_cast<std::size_t>(in_range<std::int64_t>(values, "top", 20, 0, 1'000'000'000));
  std::cout << (values["json"].as<bool>() ? cast_json(report, costs) : cast_table(report, costs, rows, colourful()));
  return 0;
}

int calibrate(const Values& values, const Words& files) {
  refuse(values, {"saturate", "group-size", "min-sqnr", "channels", "keep", "top", "hardware", "scenario"},
         "does not go with --calibration");
  CalibrationOptions o;
  o.quantization.to = format_of(values);
  if (!takes_static_scale(o.quantization.to))
    throw po::error("--to: expected int8, fp8_e4m3 or fp8_e5m2 with --calibration");
  o.quantization.percentile = in_range<double>(values, "percentile", 99.99, 50, 100);
  o.set_size = in_range<std::int64_t>(values, "set-size", 32, 1, 1'000'000);
  o.draws = in_range<std::int64_t>(values, "draws", 8, 1, 1'000);
  if (values.count("seed") != 0) o.seed = values["seed"].as<std::uint64_t>();
  if (const std::string name = text_of(values, "observer"); !name.empty()) {
    std::vector<std::string_view> known;
    for (const ObserverEntry& entry : observers()) known.push_back(entry.name);
    const auto observer = observer_named(name);
    if (!observer) throw po::error(fmt::format("--observer: no observer '{}'{}", name, suggestion(name, known)));
    if (*observer == Observer::kEntropy && o.quantization.to != NumberFormat::kInt8)
      throw po::error("--observer: entropy merges to the 128 levels of int8");
    o.observer = *observer;
  }
  std::vector<Recording> recordings;
  std::set<std::string> names;
  const auto add = [&](const std::string& task, const std::string& path, RecordingUse use) {
    if (!names.insert(task).second) throw po::error(fmt::format("task '{}' is given twice", task));
    recordings.emplace_back(task, TensorFile(path), use);
    if (recordings.back().channels() != recordings.front().channels())
      throw TensorFileError(path, fmt::format("{} channels; expected {} as in {}", recordings.back().channels(),
                                              recordings.front().channels(), recordings.front().path()));
  };
  for (const std::string& word : values["calibration"].as<Words>()) {
    const std::size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == word.size())
      throw po::error(fmt::format("--calibration {}: expected TASK=FILE.npy", word));
    add(word.substr(0, equals), word.substr(equals + 1), RecordingUse::kLearnAndJudge);
  }
  std::stringstream wanted(text_of(values, "tasks"));
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (std::string task; std::getline(wanted, task, ',');) {
    if (!names.contains(task)) throw po::error(fmt::format("--tasks: no task '{}'{}", task, suggestion(task, known)));
    o.keep.push_back(task);
  }
  for (const std::string& path : files)
    add(TensorFile(path).tensors().empty() ? path : TensorFile(path).tensors().front().name, path,
        RecordingUse::kJudgeOnly);
  const CalibrationReport report = calibrate_activations(recordings, o);
  std::cout << (values["json"].as<bool>() ? calibration_json(report) : calibration_table(report, colourful()));
  return 0;
}

int run(const Values& values, const Words& files) {
  return values.count("calibration") != 0 ? calibrate(values, files) : cast(values, files);
}

}  // namespace

const Command kNumericsCommand{
    "numerics", "FILE...",   "what a cast or a static quantization does to the numbers in safetensors and npy files",
    -1,         add_options, run};

}  // namespace headroom
