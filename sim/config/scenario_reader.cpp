// From layers of YAML to one checked Scenario: --set over a variant over the scenario over the engine's preset.
//
// A layer that names an engine preset starts afresh: engine keys that stand beside another preset below it are not
// inherited, since they were meant for another engine. Keys without a preset are common to all.
#include "sim/config/scenario_reader.h"

#include <openssl/evp.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sim/config/catalogue.h"
#include "sim/config/quantity.h"
#include "sim/config/scenario_derive.h"
#include "sim/config/scenario_parts.h"
#include "sim/sched/schedulers.h"

namespace headroom {
namespace {

constexpr std::int64_t kMost = 1'000'000'000;

std::vector<std::string_view> names_of_schedulers() {
  std::vector<std::string_view> names;
  for (const SchedulerEntry& entry : schedulers()) names.push_back(entry.name);
  return names;
}
std::vector<std::string_view> names_of_allocators() {
  std::vector<std::string_view> names;
  for (const KvAllocatorEntry& entry : kv_allocators()) names.push_back(entry.name);
  return names;
}

std::string checked_name(const Value& value, const std::vector<std::string_view>& known, std::string_view noun) {
  const std::string word = value.text();
  if (std::find(known.begin(), known.end(), word) == known.end())
    value.fail(fmt::format("no {} '{}'{}", noun, word, suggestion(word, known)));
  return word;
}

DType read_dtype(const Value& value) {
  const std::string word = value.text();
  if (const auto dtype = dtype_named(word)) return *dtype;
  std::vector<std::string_view> known;
  for (const DTypeEntry& entry : kDTypes) known.push_back(entry.name);
  value.fail(fmt::format("no dtype '{}'{}", word, suggestion(word, known)));
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  void add(std::string_view bytes) { EVP_DigestUpdate(context_, bytes.data(), bytes.size()); }
  void add_file(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    char buffer[1 << 16];
    while (stream.read(buffer, sizeof buffer) || stream.gcount() > 0)
      add(std::string_view(buffer, static_cast<std::size_t>(stream.gcount())));
  }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_, digest, &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  EVP_MD_CTX* context_;
};

// The engine section. Keys that mean nothing to the chosen scheduler or allocator are errors, not silence; a preset may
// hold them, since its allocator can be exchanged.
class EngineReader {
 public:
  EngineReader(const Map& map, const std::string& preset_file, Scenario& scenario)
      : map_(map), preset_file_(preset_file), scenario_(scenario) {}

  EngineSpec read() {
    e_.preset = map_.at("preset").text();
    o().scheduler = checked_name(map_.at("scheduler"), names_of_schedulers(), "scheduler");
    static_batch_ = is("hf-generate") || is("fastertransformer");
    read_kv();
    read_limits();
    read_rules();
    read_speculation();
    read_host();
    map_.done();
    return e_;
  }

 private:
  SchedulerOptions& o() { return e_.scheduler; }
  bool is(std::string_view scheduler) const { return e_.scheduler.scheduler == scheduler; }

  // The key's value if it has a meaning here. If it has none and the user wrote it, an error.
  std::optional<Value> when(bool meaningful, std::string_view key, std::string_view otherwise) const {
    const auto value = map_.find(key);
    if (meaningful || !value) return value;
    if (value->pos().file != preset_file_) value->fail(fmt::format("has no effect {}", otherwise));
    return std::nullopt;
  }
  std::string with_scheduler() const { return fmt::format("with scheduler '{}'", e_.scheduler.scheduler); }

  void read_kv() {
    std::string allocator = "paged";
    if (const auto cache = when(is("hf-generate"), "cache_implementation", with_scheduler())) {
      constexpr Choice<bool> kCaches[] = {{"dynamic", false}, {"static", true}};
      o().static_cache = choose(*cache, std::span<const Choice<bool>>(kCaches), "cache implementation");
      allocator = o().static_cache ? "contiguous-max" : "dynamic";
    }
    if (const auto name = map_.find("kv_allocator")) {
      allocator = checked_name(*name, names_of_allocators(), "KV allocator");
      if (allocator == "dynamic" && !is("hf-generate"))
        name->fail(
            fmt::format("'dynamic' grows all rows of a static batch together; it has no meaning {}", with_scheduler()));
      if (o().static_cache && allocator != "contiguous-max")
        name->fail("a static cache is reserved in one piece; expected contiguous-max");
    }
    e_.kv_allocator = allocator;
    const bool paged = allocator == "paged";
    const std::string with_allocator = fmt::format("with kv_allocator '{}'", allocator);
    if (const auto size = when(paged, "block_size", with_allocator)) e_.block_size = size->integer(1, 65'536);
    if (!paged) e_.block_size = 1;
    if (const auto on = when(paged, "enable_prefix_caching", with_allocator)) {
      e_.enable_prefix_caching = on->boolean();
      if (e_.enable_prefix_caching && (static_batch_ || is("orca"))) {
        if (on->pos().file != preset_file_) on->fail(fmt::format("has no effect {}", with_scheduler()));
        e_.enable_prefix_caching = false;
      }
    }
    const bool contiguous = allocator.starts_with("contiguous");
    if (const auto fit = when(contiguous, "contiguous_fit", with_allocator))
      e_.contiguous_fit = choose(*fit, std::span<const Choice<FitPolicy>>(kFits), "fit");
    if (const auto space = when(paged && is("vllm-v0"), "swap_space", with_scheduler())) e_.swap_space = space->size();
    e_.null_block = paged && is("vllm-v1");
  }

  void read_limits() {
    o().max_model_len = scenario_.model.max_position_embeddings;
    if (const auto length = map_.find("max_model_len")) {
      o().max_model_len = length->integer(1, kMost);
      if (o().max_model_len > scenario_.model.max_position_embeddings)
        length->fail(fmt::format("{} exceeds the {} positions {} was made for (max_position_embeddings)",
                                 o().max_model_len, scenario_.model.max_position_embeddings, scenario_.model.name));
    }
    const Value seqs = map_.at("max_num_seqs");
    o().max_num_seqs = seqs.integer(1, 1'000'000);
    if (is("sarathi")) {
      o().chunk_size = map_.at("chunk_size").integer(1, kMost);
      o().max_num_batched_tokens = o().chunk_size;
      when(false, "max_num_batched_tokens", "with scheduler 'sarathi', whose budget is chunk_size");
    } else {
      when(false, "chunk_size", with_scheduler());
      const auto tokens = when(!static_batch_, "max_num_batched_tokens", with_scheduler());
      o().max_num_batched_tokens = tokens ? tokens->integer(1, kMost) : std::max<std::int64_t>(o().max_model_len, 2048);
    }
    if (!static_batch_ && o().max_num_batched_tokens < o().max_num_seqs) {
      const auto tokens = map_.find(is("sarathi") ? "chunk_size" : "max_num_batched_tokens");
      (tokens && tokens->pos().file != preset_file_ ? *tokens : seqs)
          .fail(fmt::format("max_num_batched_tokens ({}) is below max_num_seqs ({}); a decode step needs one token "
                            "per sequence",
                            o().max_num_batched_tokens, o().max_num_seqs));
    }
  }

  void read_rules() {
    const bool v1 = is("vllm-v1"), v0 = is("vllm-v0"), continuous = is("hf-continuous");
    const std::string otherwise = with_scheduler();
    o().enable_chunked_prefill = true;
    if (const auto on = when(v1, "enable_chunked_prefill", otherwise)) {
      o().enable_chunked_prefill = on->boolean();
      if (!o().enable_chunked_prefill && o().max_num_batched_tokens < o().max_model_len)
        on->fail(fmt::format("without chunked prefill max_num_batched_tokens ({}) must not be below max_model_len ({})",
                             o().max_num_batched_tokens, o().max_model_len));
    }
    if (const auto tokens = when(v1, "long_prefill_token_threshold", otherwise))
      o().long_prefill_token_threshold = tokens->integer(0, kMost);
    if (const auto share = when(v1 || v0 || is("sarathi"), "watermark", otherwise))
      o().watermark = share->number(0, 0.5);
    if (const auto on = when(v1, "scheduler_reserve_full_isl", otherwise)) o().reserve_full_prompt = on->boolean();
    if (const auto mode = when(v0, "preemption_mode", otherwise))
      o().preemption = choose(*mode, std::span<const Choice<PreemptionMode>>(kPreemptionModes), "preemption mode");
    if (const auto on = when(v1, "async_scheduling", otherwise)) {
      e_.host.asynchronous = on->boolean();
      // An end by EOS is known one step late; an end by max_tokens is not (SEMANTICS 2.2.6).
      o().late_stop = e_.host.asynchronous && !scenario_.workload.ignore_eos;
    }
    if (const auto rules = when(continuous, "rules", otherwise))
      o().continuous_rules = choose(*rules, std::span<const Choice<ContinuousRules>>(kContinuousRules), "rules");
    if (const auto policy = when(continuous, "policy", otherwise))
      o().continuous_policy = choose(*policy, std::span<const Choice<ContinuousPolicy>>(kContinuousPolicies), "policy");
    if (const auto margin = when(continuous, "safety_margin", otherwise)) o().safety_margin = margin->number(0, 1);
    if (const auto keep = when(is("hf-generate"), "logits_to_keep", otherwise))
      e_.logits_for_all_tokens = !keep->boolean();
    e_.memory_rule = choose(map_.at("memory_rule"), std::span<const Choice<MemoryRule>>(kMemoryRules), "memory rule");
    const bool shares = e_.memory_rule != MemoryRule::kHfGenerate && e_.memory_rule != MemoryRule::kFasterTransformer;
    if (const auto share = when(shares, "gpu_memory_utilization", "with an engine that reserves nothing ahead"))
      e_.gpu_memory_utilization = share->number(0.01, 1);
    if (const auto size = when(shares, "kv_cache_memory_bytes", "with an engine that reserves nothing ahead"))
      e_.kv_cache_memory = size->size();
    if (const auto blocks = when(shares, "num_gpu_blocks_override", "with an engine that has no blocks"))
      e_.num_gpu_blocks_override = blocks->integer(2, kMost);
    e_.attention = choose(map_.at("attention"), std::span<const Choice<AttentionKernel>>(kAttentions), "attention");
    e_.style = choose(map_.at("execution"), std::span<const Choice<ExecutionStyle>>(kStyles), "execution");
  }

  void read_speculation() {
    const auto config = when(is("vllm-v1"), "speculative_config", with_scheduler());
    if (!config) return;
    const Map map = config->map();
    Speculation& s = o().speculation;
    s.method = choose(map.at("method"), std::span<const Choice<DraftMethod>>(kDraftMethods), "method of speculation");
    s.num_tokens = map.at("num_speculative_tokens").integer(1, 64);
    s.acceptance_rate = map.at("acceptance_rate").number(0, 1);
    if (s.method == DraftMethod::kNgram) {
      if (const auto found = map.find("found_fraction")) s.found_fraction = found->number(0, 1);
    } else if (s.method == DraftMethod::kDraftModel) {
      const Value model = map.at("model");
      scenario_.draft_name = model.text();
      scenario_.draft_model = read_model(catalogue_file("models", model));
      const std::int64_t tp = scenario_.cluster.tensor_parallel_size;
      if (scenario_.draft_model->num_heads % tp != 0)
        model.fail(fmt::format("tensor_parallel_size {} does not divide its {} attention heads", tp,
                               scenario_.draft_model->num_heads));
      if (const auto on = map_.find("async_scheduling"); e_.host.asynchronous) {  // the two exclude each other
        if (on->pos().file != preset_file_)
          on->fail("a draft model's steps are not scheduled asynchronously; expected false");
        e_.host.asynchronous = false;
      }
    } else {
      scenario_.draft_model = scenario_.model;
      scenario_.draft_model->num_layers = 1;
      if (scenario_.draft_model->sliding_window) scenario_.draft_model->sliding_window.reset();
      if (scenario_.draft_model->experts) scenario_.draft_model->experts.reset();  // heads are dense
    }
    map.done();
    if (e_.host.asynchronous) o().late_stop = false;
  }

  void read_host() {
    const bool captures = is("vllm-v0") || is("vllm-v1") || is("sarathi") || is("hf-continuous");
    const auto eager = when(captures, "enforce_eager", with_scheduler());
    const bool graphs = captures && eager && !eager->boolean();
    e_.host.eager_launches = e_.style == ExecutionStyle::kEager || (captures && !graphs);
    if (const auto size = when(graphs, "cuda_graph_memory", "without CUDA graphs")) e_.cuda_graph_bytes = size->size();
    if (graphs)
      e_.host.graph_sizes =
          cuda_graph_sizes(o().max_num_seqs, o().max_num_batched_tokens, 1 + o().speculation.num_tokens);
    const Map host = map_.map("host");
    e_.host.per_step = host.at("per_step").time();
    e_.host.per_sequence = host.at("per_sequence").time();
    if (const auto time = host.find("per_prefill_token")) e_.host.per_prefill_token = time->time();
    host.done();
  }

  const Map& map_;
  const std::string& preset_file_;
  Scenario& scenario_;  // its model is read already; a draft model is added
  EngineSpec e_;
  bool static_batch_ = false;
};

class Reader {
 public:
  Reader(std::string file, const LoadOptions& options)
      : file_(std::move(file)), options_(options), top_(load_yaml(file_)) {
    for (const std::string& text : options.overrides) sets_.insert(sets_.begin(), override_layer(text));
  }

  ScenarioFile read() {
    ScenarioFile all;
    std::vector<Value> base = sets_;
    base.push_back(top_);
    const Map whole = layered(base);
    const auto variants = whole.find("variants");
    if (!variants) {
      all.variants.emplace_back("", read_one(base));
      all.name = all.variants.front().second.name;
      return all;
    }
    const std::vector<std::string> names = whole.map("variants").keys();
    if (names.empty()) variants->fail("no variant; expected at least one name");
    if (has_preset(base)) read_one(base);  // what no variant uses is checked all the same
    for (const std::string& name : names) {
      std::vector<Value> layers;
      for (const Value& layer : sets_)
        if (const auto part = variant_of(layer, name)) layers.push_back(*part);
      layers.insert(layers.end(), sets_.begin(), sets_.end());
      if (const auto part = variant_of(top_, name)) layers.push_back(*part);
      layers.push_back(top_);
      all.variants.emplace_back(name, read_one(layers));
    }
    all.name = all.variants.front().second.name;
    return all;
  }

 private:
  static Map layered(const std::vector<Value>& layers) {
    Map map(layers.front());
    for (std::size_t i = 1; i < layers.size(); ++i) map = map.over(layers[i]);
    return map;
  }
  static std::optional<Value> part_of(const Value& layer, std::string_view key) {
    auto part = layer.map().find(key);
    if (part && !part->is_map()) part->fail("expected a map of keys and values");
    return part;
  }
  static std::optional<Value> variant_of(const Value& layer, const std::string& name) {
    const auto variants = part_of(layer, "variants");
    auto variant = variants ? part_of(*variants, name) : std::nullopt;
    if (variant) check_variant(name, *variant);
    return variant;
  }
  static bool has_preset(const std::vector<Value>& layers) {
    for (const Value& layer : layers)
      if (const auto engine = part_of(layer, "engine"); engine && engine->map().has("preset")) return true;
    return false;
  }
  static void check_variant(const std::string& name, const Value& variant) {
    const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
    if (name.empty() || name.size() > 64 || name.front() == '.' || !std::all_of(name.begin(), name.end(), plain))
      variant.fail(fmt::format("'{}' names a folder of results; expected letters, digits, '-', '_' and '.'", name));
    for (const std::string_view key : {"workload", "seed"})
      if (const auto value = variant.map().find(key))
        value->fail("variants run the same requests; give it once, outside of them");
    for (const std::string_view key : {"variants", "name"})
      if (const auto value = variant.map().find(key)) value->fail("a variant cannot have it");
  }

  Scenario read_one(const std::vector<Value>& layers) {
    const Map map = layered(layers);
    Scenario s;
    s.file = file_;
    s.name = std::filesystem::path(file_).stem().string();
    if (const auto name = map.find("name")) s.name = name->text();
    map.find("description");
    if (const auto seed = map.find("seed"))
      s.seed = static_cast<std::uint64_t>(seed->integer(0, std::int64_t{1} << 53));
    if (options_.seed) s.seed = *options_.seed;
    map.find("variants");
    const Value model = map.at("model");
    const std::string model_file = catalogue_file("models", model);
    s.model = read_model(model_file);
    const Value hardware = map.at("hardware");
    const std::string hardware_file = catalogue_file("hardware", hardware);
    s.hardware = read_hardware(hardware_file);
    read_types(map, s);
    read_cluster(map, s);
    read_techniques(map);
    if (!map.has("workload")) map.fail("missing key 'workload'");
    const Map workload = map.map("workload");
    s.workload = read_workload(workload);
    read_slo(map, s);
    read_engine(layers, map, s);
    map.done();
    check_lengths(workload, s);
    const MemoryPlan plan = plan_memory(s.model, s.hardware, memory_plan_input(s));
    if (!plan.does_not_fit.empty()) model.fail(plan.does_not_fit);
    s.resolved = scenario_text(s, model.text(), hardware.text(), workload);
    Sha256 hash;
    hash.add(s.resolved);
    hash.add_file(model_file);
    hash.add_file(hardware_file);
    if (s.workload.trace) hash.add_file(s.workload.trace->path);
    s.sha256 = hash.hex();
    return s;
  }

  // Some requests of a workload may be too long for the engine and are refused in the run; if all are, it is an error.
  static void check_lengths(const Map& map, const Scenario& s) {
    if (s.workload.trace) return;
    const auto least = [](const LengthDistribution& law) {
      if (law.kind == LengthDistribution::Kind::kFixed) return static_cast<std::int64_t>(law.mean);
      if (law.kind == LengthDistribution::Kind::kEmpirical)
        return std::max(law.min, *std::min_element(law.values.begin(), law.values.end()));
      return law.min;
    };
    const std::int64_t prompt = least(s.workload.prompt_tokens), output = least(s.workload.output_tokens);
    const std::int64_t limit = s.engine.scheduler.max_model_len;
    if (prompt + output > limit)
      map.at("prompt_tokens")
          .fail(fmt::format(
              "every request is longer than max_model_len ({}): at least {} prompt tokens and {} output tokens", limit,
              prompt, output));
  }

  static void read_types(const Map& map, Scenario& s) {
    s.dtype = s.model.dtype == DType::kFloat32 ? DType::kFloat16 : s.model.dtype;
    if (const auto dtype = map.find("dtype")) {
      s.dtype = read_dtype(*dtype);
      if (bytes_of(s.dtype) == 1)
        dtype->fail("activations are not stored in one byte; expected float32, float16 or bfloat16 (see quantization)");
    }
    const Value at = map.find("dtype").value_or(map.at("hardware"));
    if (s.hardware.peak[static_cast<std::size_t>(s.dtype)].rate() <= 0)
      at.fail(fmt::format("{} has no {} arithmetic", s.hardware.device, headroom::name_of(s.dtype)));
    s.kv_dtype = s.dtype;
    const Map quantization = map.map("quantization");
    if (const auto weights = quantization.find("weights"))
      s.quantization = choose(*weights, std::span<const Choice<WeightQuantization>>(kQuantizations), "quantization");
    if (const auto group = quantization.find("group_size")) s.quantization_group = group->integer(8, 65'536);
    if (const auto kv = quantization.find("kv_cache")) {
      constexpr Choice<int> kKv[] = {{"none", 0}, {"auto", 0}, {"fp8", 1}};
      if (choose(*kv, std::span<const Choice<int>>(kKv), "KV cache type") == 1) s.kv_dtype = DType::kFp8;
    }
    quantization.done();
  }

  static void read_cluster(const Map& map, Scenario& s) {
    const Map cluster = map.map("cluster");
    if (const auto n = cluster.find("replicas")) s.cluster.replicas = n->integer(1, 100'000);
    if (const auto n = cluster.find("tensor_parallel_size")) {
      s.cluster.tensor_parallel_size = n->integer(1, 1024);
      if (s.model.num_heads % s.cluster.tensor_parallel_size != 0)
        n->fail(fmt::format("{} does not divide the {} attention heads of {}", s.cluster.tensor_parallel_size,
                            s.model.num_heads, s.model.name));
      const std::int64_t tp = s.cluster.tensor_parallel_size;
      if (!s.model.latent_attention && s.model.num_kv_heads % tp != 0 && tp % s.model.num_kv_heads != 0)
        n->fail(fmt::format("{} neither divides nor is a multiple of the {} KV heads of {}", tp, s.model.num_kv_heads,
                            s.model.name));
    }
    if (const auto n = cluster.find("pipeline_parallel_size"))
      if (n->integer(1, 1024) > 1) n->fail("pipeline stages are not simulated yet; expected 1");
    if (const auto router = cluster.find("router"))
      s.cluster.router = choose(*router, std::span<const Choice<RouterPolicy>>(kRouters), "router");
    cluster.done();
  }

  static void read_techniques(const Map& map) {
    const Map techniques = map.map("techniques");
    if (const auto stage = techniques.find("zero_stage"))
      if (stage->integer(0, 3) != 0) stage->fail("ZeRO is not simulated yet; expected 0");
    if (const auto offload = techniques.find("zero_offload")) {
      constexpr Choice<int> kPlaces[] = {{"none", 0}, {"cpu", 1}, {"nvme", 2}};
      if (choose(*offload, std::span<const Choice<int>>(kPlaces), "place to offload to") != 0)
        offload->fail("offloading weights is not simulated yet; expected none");
    }
    if (const auto on = techniques.find("gradient_checkpointing"))
      if (on->boolean()) on->fail("checkpointing is not simulated yet; expected false");
    if (const auto on = techniques.find("autograd"))
      if (on->boolean()) on->fail("a kept autograd graph is not simulated yet; expected false");
    techniques.done();
  }

  static void read_slo(const Map& map, Scenario& s) {
    const Map slo = map.map("slo");
    const auto bound = [&](std::string_view key) -> std::optional<Seconds> {
      const auto value = slo.find(key);
      if (!value) return std::nullopt;
      if (value->time().count() <= 0) value->fail("must be above zero");
      return value->time();
    };
    s.slo.ttft = bound("ttft");
    s.slo.tpot = bound("tpot");
    s.slo.e2el = bound("e2el");
    slo.done();
  }

  static void read_engine(const std::vector<Value>& layers, const Map& map, Scenario& s) {
    const Value place = map.at("engine");
    std::vector<Value> parts;
    std::optional<Value> preset;
    for (const Value& layer : layers) {
      const auto engine = part_of(layer, "engine");
      if (!engine) continue;
      const auto named = engine->map().find("preset");
      if (named && preset) continue;  // meant for another engine
      if (named) preset = named;
      parts.push_back(*engine);
    }
    if (!preset) place.fail("missing key 'preset'");
    const std::string file = catalogue_file("engines", *preset);
    const Map entry = load_yaml(file).map();
    entry.at("summary").text();
    entry.at("source").text();
    if (const auto large = entry.find("large_gpu")) {
      const Map rule = large->map();
      const std::string except = rule.at("except").text();
      if (s.hardware.memory >= rule.at("min_memory").size() && !s.hardware.name.starts_with(except))
        parts.push_back(rule.at("engine"));
      else
        rule.at("engine");
      rule.done();
    }
    parts.push_back(entry.at("engine"));
    entry.done();
    s.engine = EngineReader(layered(parts), file, s).read();
  }

  std::string file_;
  const LoadOptions& options_;
  Value top_;
  std::vector<Value> sets_;  // the last one first
};

}  // namespace

ScenarioFile load_scenario(const std::string& file, const LoadOptions& options) {
  return Reader(file, options).read();
}

void check_file(const std::string& file) {
  const Map map = load_yaml(file).map();
  if (map.has("model_type")) {
    read_model(file);
  } else if (map.has("device")) {
    read_hardware(file);
  } else if (map.has("summary") && map.has("engine")) {
    const Map engine = map.at("engine").map();
    checked_name(engine.at("scheduler"), names_of_schedulers(), "scheduler");
  } else {
    load_scenario(file);
  }
}

}  // namespace headroom
