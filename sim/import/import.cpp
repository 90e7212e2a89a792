#include "sim/import/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>

#include "sim/config/catalogue.h"
#include "sim/config/quantity.h"
#include "sim/config/scenario_derive.h"
#include "sim/config/scenario_reader.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAssumedCard = "h100-sxm";
constexpr const char* kAssumedAcceptance = "0.7";

struct Version {
  int major = 0, minor = 0;
  auto operator<=>(const Version&) const = default;
};
// "0.8.5.post1" -> 0.8. Development builds ("0.1.dev16931+gd400") count as the newest.
Version version_of(const std::string& text) {
  Version v;
  if (text.empty() || text.find(".dev16") != std::string::npos || text.starts_with("0.1.dev")) return {9999, 0};
  const char* end = text.data() + text.size();
  const auto [dot, problem] = std::from_chars(text.data(), end, v.major);
  if (problem != std::errc{}) return {9999, 0};
  if (dot != end && *dot == '.') std::from_chars(dot + 1, end, v.minor);
  return v;
}

std::string in_quotes(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) continue;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// A text that may stand in a comment: one line.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  return text.size() > 200 ? text.substr(0, 200) + "..." : text;
}

class Importer {
 public:
  Importer(const VllmLog& log, const std::string& source, const ImportOptions& options)
      : log_(log), options_(options), source_(source) {
    for (const auto& [flag, value] : log.command.settings) settings_[flag] = value;
    if (!options.model.empty()) settings_["model"] = options.model;
    const std::string text = options.version.empty() ? log.command.version : options.version;
    version_ = version_of(text);
    v0_ = log.command.v0 || version_ < Version{0, 8};
    head_ = fmt::format("# Made from {}{}.\n", one_line(source), text.empty() ? "" : " of vLLM " + one_line(text));
  }

  Imported import() {
    choose_preset();
    model();
    hardware();
    types();
    cluster();
    engine();
    speculation();
    rest();
    Imported out;
    const auto text = [&](const std::string& compared) {
      std::string all = head_ + compared + top_;
      if (!cluster_.empty()) all += "cluster:\n" + cluster_;
      all += "engine:\n" + engine_ + kWorkload + tail_;
      return all;
    };
    Shelf shelf;
    const std::string name = "(imported scenario)";
    shelf.add(name, parse_yaml(text(""), name));
    scenario_.emplace(load_scenario(name, {}, shelf).variants.front().second);
    out.comparison = comparison();
    std::string compared;
    if (!out.comparison.empty()) compared = "# " + out.comparison + "\n";
    out.scenario = text(compared);
    out.warnings = std::move(warnings_);
    return out;
  }

 private:
  static constexpr const char* kWorkload =
      "# What users send is in no command line and no start-up log: put your own here, or a trace.\n"
      "workload:\n"
      "  requests: 1000\n"
      "  arrivals: {process: poisson, rate: 1/s}\n"
      "  prompt_tokens: {distribution: lognormal, mean: 512, cv: 1, max: 1024}\n"
      "  output_tokens: {distribution: lognormal, mean: 256, cv: 1, max: 512}\n";

  std::string value_of(const std::string& flag) const {
    const auto at = settings_.find(flag);
    return at != settings_.end() ? at->second : "";
  }
  // The value, and that the flag is dealt with.
  std::string take(const std::string& flag) {
    const std::string value = value_of(flag);
    settings_.erase(flag);
    return value == "None" ? "" : value;
  }
  [[noreturn]] void fail(const std::string& message) const { throw ConfigError({source_, 0, 0}, message); }
  void warn(std::string text) { warnings_.push_back(std::move(text)); }
  void put(const std::string& key, const std::string& value, const std::string& why) {
    engine_ += fmt::format("  {}: {}{}\n", key, value, why.empty() ? "" : "    # " + one_line(why));
  }

  void choose_preset() {
    const bool newest = version_ >= Version{0, 21};  // CUDA graphs in the memory plan by default
    put("preset", v0_ ? "vllm-v0" : newest ? "vllm-v1-2026" : "vllm-v1-2025", "");
    // By default from 0.14 on; the preset of 2025 has it off.
    if (!v0_ && !newest && version_ >= Version{0, 14} && value_of("async-scheduling").empty())
      put("async_scheduling", "true", "the default since 0.14");
  }

  void model() {
    given_ = take("model");
    if (given_.empty()) fail("names no model; expected one, or --model NAME");
    std::error_code ignored;
    std::string name;
    if (given_.ends_with(".json") || given_.ends_with(".yaml")) {
      name = given_;
    } else if (const auto known = catalogue_model(given_)) {
      name = *known;
    } else if (fs::exists(fs::path(given_) / "config.json", ignored)) {
      name = (fs::path(given_) / "config.json").string();
    } else {
      const std::vector<std::string> names = catalogue_names("models");
      const std::vector<std::string_view> views(names.begin(), names.end());
      const std::string last = given_.substr(given_.rfind('/') == std::string::npos ? 0 : given_.rfind('/') + 1);
      fail(fmt::format("model '{}' is not in configs/models{}; save its config.json and give it with --model FILE.json",
                       given_, suggestion(last, views)));
    }
    top_ += fmt::format("name: {}\n", in_quotes("vllm serve " + given_));
    top_ += fmt::format("model: {}{}\n", in_quotes(name), name == given_ ? "" : "    # " + one_line(given_));
  }

  void hardware() {
    std::string name = options_.hardware, why;
    if (name.empty() && !log_.device.empty()) {
      name = card_named(log_.device);
      if (name.empty())
        warn(fmt::format("the log's card, {}, has no profile in configs/hardware; give one with --hardware",
                         log_.device));
      why = log_.device;
    }
    if (name.empty() && log_.gpu_memory_gib) {
      name = card_with(*log_.gpu_memory_gib);
      why = fmt::format("by its {:.2f} GiB in the log; --hardware says another", *log_.gpu_memory_gib);
      if (!name.empty()) warn(fmt::format("the card is guessed {}: {}", why, name));
    }
    if (name.empty()) {
      name = kAssumedCard;
      why = "assumed; give yours with --hardware";
      warn(fmt::format("which card it runs on is not known; {} is assumed, give yours with --hardware", name));
    }
    top_ += fmt::format("hardware: {}{}\n", name, why.empty() ? "" : "    # " + one_line(why));
  }

  static Map profile(const std::string& name) {
    return load_yaml((fs::path(configs_folder()) / "hardware" / (name + ".yaml")).string()).map();
  }
  static std::string card_named(const std::string& device) {
    for (const std::string& name : catalogue_names("hardware"))
      if (profile(name).at("device").text() == device) return name;
    return "";
  }
  // The one card whose addressable memory is within 1 % of it; none if there are two.
  static std::string card_with(double gib) {
    std::string found;
    for (const std::string& name : catalogue_names("hardware")) {
      const double memory = static_cast<double>(profile(name).at("memory").map().at("value").size().count());
      if (std::abs(memory / static_cast<double>(kGiB) / gib - 1) > 0.01) continue;
      if (!found.empty()) return "";
      found = name;
    }
    return found;
  }

  void types() {
    std::string dtype = take("dtype");
    if (dtype == "half") dtype = "float16";
    if (dtype == "float") dtype = "float32";
    if (!dtype.empty() && dtype != "auto") top_ += fmt::format("dtype: {}\n", in_quotes(dtype));
    std::string parts;
    const std::string weights = quantization(take("quantization"));
    if (!weights.empty()) parts = "weights: " + weights;
    const std::string kv = take("kv-cache-dtype");
    if (kv.starts_with("fp8"))
      parts += std::string(parts.empty() ? "" : ", ") + "kv_cache: fp8";
    else if (!kv.empty() && kv != "auto" && kv != "bfloat16" && kv != "float16")
      warn(fmt::format("--kv-cache-dtype {} is not simulated; the KV cache has the model's type", kv));
    if (!parts.empty()) top_ += "quantization: {" + parts + "}\n";
  }

  std::string quantization(const std::string& method) {
    constexpr std::pair<const char*, const char*> kMethods[] = {
        {"awq", "awq"},          {"awq_marlin", "marlin"}, {"gptq", "gptq"},          {"gptq_marlin", "marlin"},
        {"marlin", "marlin"},    {"fp8", "fp8"},           {"fbgemm_fp8", "fp8"},     {"modelopt", "fp8"},
        {"bitsandbytes", "nf4"}, {"mxfp4", "mxfp4"},       {"modelopt_fp4", "nvfp4"}, {"nvfp4", "nvfp4"}};
    for (const auto& [name, ours] : kMethods)
      if (method == name) return ours;
    std::string lower = given_;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    constexpr std::pair<const char*, const char*> kNames[] = {
        {"awq", "marlin"}, {"gptq", "marlin"}, {"w4a16", "marlin"}, {"int4", "marlin"},
        {"fp8", "fp8"},    {"w8a8", "int8"},   {"bnb-4bit", "nf4"}};
    std::string guess;
    for (const auto& [word, ours] : kNames)
      if (guess.empty() && lower.find(word) != std::string::npos) guess = ours;
    if (!method.empty() && guess.empty())
      warn(fmt::format("quantization '{}' does not say how weights are stored; they are taken as unquantized", method));
    if (!guess.empty())
      warn(fmt::format("the model's name says its weights are quantized; '{}' is taken for it", guess));
    return guess;
  }

  void cluster() {
    for (const char* flag : {"tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size"}) {
      const std::string value = take(flag);
      if (value.empty() || value == "1") continue;
      const std::string key = vllm_flag(flag)->key.substr(8).data();
      cluster_ += fmt::format("  {}: {}\n", key, whole(flag, value));
      if (key == "pipeline_parallel_size") staged_ = whole(flag, value) > 1;
    }
  }

  std::int64_t whole(const std::string& flag, const std::string& value) const {
    const auto number = human_readable_int(value);
    if (!number) fail(fmt::format("--{} {}: expected a whole number", flag, value));
    return *number;
  }

  void engine() {
    for (const VllmFlag& flag : vllm_flags()) {
      if (!flag.key.starts_with("engine.")) continue;
      const std::string name(flag.name), value = take(name);
      if (value.empty() || value == "auto" || value == "-1") continue;
      if (v0_ && is_v1_only(name)) {
        if (value != "false" && value != "0")
          warn(fmt::format("--{} {}: not simulated with vLLM's V0 engine", name, value));
        continue;
      }
      if (!v0_ && name == "preemption-mode") continue;  // V1 only recomputes, and ignores it
      const std::string key(flag.key.substr(7));
      if (!flag.takes_value || name == "preemption-mode")
        put(key, value, "");
      else if (name == "gpu-memory-utilization")
        put(key, fraction(name, value), "");
      else
        put(key, std::to_string(whole(name, value)), "");
    }
    if (const std::string bytes = take("kv-cache-memory-bytes"); !bytes.empty())
      put("kv_cache_memory_bytes", fmt::format("{} B", whole("kv-cache-memory-bytes", bytes)), "");
    if (const std::string space = take("swap-space"); !space.empty() && v0_)
      put("swap_space", fraction("swap-space", space) + " GiB", "");
    if (const std::string space = take("kv-offloading-size"); !space.empty() && !v0_) {
      if (staged_)
        warn(fmt::format("--kv-offloading-size {}: not simulated together with pipeline stages and left out", space));
      else
        put("kv_offloading_size", fraction("kv-offloading-size", space) + " GiB", "");
    }
    const bool eager = engine_.find("enforce_eager: true") != std::string::npos;
    if (log_.cuda_graph_gib && !eager)
      put("cuda_graph_memory", fmt::format("{:.2f} GiB", *log_.cuda_graph_gib), "from the log");
  }

  static bool is_v1_only(const std::string& flag) {
    return flag == "enable-chunked-prefill" || flag == "long-prefill-token-threshold" ||
           flag == "scheduler-reserve-full-isl" || flag == "async-scheduling";
  }

  std::string fraction(const std::string& flag, const std::string& value) const {
    const auto number = parse_number(value);
    if (!number) fail(fmt::format("--{} {}: expected a number", flag, value));
    return print_number(*number);
  }

  void speculation() {
    const std::string text = take("speculative-config");
    if (text.empty()) return;
    const Map map = parse_yaml(text, "--speculative-config").map();
    const auto word = [&](const char* key) {
      const auto value = map.find(key);
      return value && value->is_scalar() && value->text() != "None" ? value->text() : std::string();
    };
    const std::string method = word("method"), model = word("model"), tokens = word("num_speculative_tokens");
    std::string ours;
    if (method == "ngram" || model == "[ngram]")
      ours = "method: ngram";
    else if (method.starts_with("eagle") || method == "mtp" || method.ends_with("_mtp"))
      ours = "method: eagle";
    else if (const auto draft = catalogue_model(model); !model.empty() && draft)
      ours = "method: draft-model, model: " + *draft;
    if (staged_) {
      warn(fmt::format("--speculative-config {}: not simulated together with pipeline stages and left out",
                       one_line(text)));
      return;
    }
    if (v0_ || ours.empty() || tokens.empty()) {
      warn(fmt::format("--speculative-config {}: this speculation is not simulated and left out", one_line(text)));
      return;
    }
    put("speculative_config",
        fmt::format("{{{}, num_speculative_tokens: {}, acceptance_rate: {}}}", ours,
                    whole("num_speculative_tokens", tokens), kAssumedAcceptance),
        "the acceptance rate is assumed");
    warn(fmt::format(
        "how many drafts are accepted is not known; {} is assumed, set engine.speculative_config.acceptance_rate",
        kAssumedAcceptance));
  }

  // What was given and has become no key.
  void rest() {
    std::string no_bearing, not_simulated;
    std::vector<std::string_view> known;
    for (const VllmFlag& flag : vllm_flags()) known.push_back(flag.name);
    for (const auto& [name, value] : settings_) {
      const VllmFlag* flag = vllm_flag(name.substr(0, name.find('.')));
      const bool secret = name == "api-key" || name == "hf-token";
      const std::string as_given =
          "--" + name + (value.empty() || value == "true" ? "" : " " + (secret ? "..." : one_line(value)));
      if (flag != nullptr && (flag->effect == FlagEffect::kNoBearing || value == "false" || value == "0")) {
        no_bearing += "#   " + as_given + "\n";
      } else if (flag != nullptr) {
        not_simulated += "#   " + as_given + "\n";
        warn(as_given + " matters and is not simulated");
      } else {
        const std::string near = nearest_name(name, known);
        not_simulated += "#   " + as_given + "\n";
        warn(fmt::format("{} is not a flag known here{}; left out", as_given,
                         near.empty() ? "" : "; did you mean '--" + near + "'?"));
      }
    }
    if (!not_simulated.empty()) tail_ += "# Given, and not simulated:\n" + not_simulated;
    if (!no_bearing.empty()) tail_ += "# Given, without bearing on a simulation:\n" + no_bearing;
  }

  std::string comparison() const {
    const MemoryPlan plan = plan_memory(scenario_->model, scenario_->hardware, memory_plan_input(*scenario_));
    const std::int64_t block = scenario_->engine.block_size;
    if (!log_.kv_tokens && !log_.gpu_blocks) return "";
    const std::int64_t tokens = log_.kv_tokens ? *log_.kv_tokens : *log_.gpu_blocks * block;
    const std::int64_t blocks = log_.gpu_blocks ? *log_.gpu_blocks : tokens / block;
    const auto off = [](double predicted, double said) {
      return fmt::format("{:+.1f} %", 100 * (predicted / said - 1));
    };
    const auto gib = [](Bytes size) { return static_cast<double>(size.count()) / static_cast<double>(kGiB); };
    const std::int64_t predicted = plan.kv_pool_tokens.count();
    std::string text =
        fmt::format("KV cache: {} blocks of {}, {} tokens, in the log; predicted {} tokens, {}", blocks, block, tokens,
                    predicted, off(static_cast<double>(predicted), static_cast<double>(tokens)));
    if (log_.weights_gib)
      text += fmt::format("; weights {:.2f} GiB, predicted {:.2f}, {}", *log_.weights_gib, gib(plan.weights),
                          off(gib(plan.weights), *log_.weights_gib));
    if (log_.kv_cache_gib)
      text += fmt::format("; room for it {:.2f} GiB, predicted {:.2f}", *log_.kv_cache_gib, gib(plan.kv_pool));
    return text + fmt::format(". To run with the log's: engine.num_gpu_blocks_override: {}", blocks);
  }

  const VllmLog& log_;
  const ImportOptions& options_;
  std::string source_, given_;
  std::map<std::string, std::string> settings_;
  Version version_;
  bool v0_ = false;
  bool staged_ = false;  // more than one pipeline stage
  std::string head_, top_, cluster_, engine_, tail_;
  std::vector<std::string> warnings_;
  std::optional<Scenario> scenario_;
};

}  // namespace

Imported import_vllm(const VllmLog& log, const std::string& source, const ImportOptions& options) {
  return Importer(log, source, options).import();
}

}  // namespace headroom
