// From layers of YAML to one checked Scenario: --set over a variant over the scenario over the engine's preset.
//
// A layer that names an engine preset starts afresh: engine keys that stand beside another preset below it are not
// inherited, since they were meant for another engine. Keys without a preset are common to all.
#include "sim/config/scenario_reader.h"

#include <nettle/sha2.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "sim/config/catalogue.h"
#include "sim/config/quantity.h"
#include "sim/config/scenario_derive.h"
#include "sim/config/scenario_parts.h"
#include "sim/config/sweep_reader.h"

namespace headroom {
namespace {

DType read_dtype(const Value& value) {
  std::vector<std::string_view> known;
  for (const DTypeEntry& entry : kDTypes) known.push_back(entry.name);
  value.expects(known);
  const std::string word = value.text();
  if (const auto dtype = dtype_named(word)) return *dtype;
  value.fail(fmt::format("no dtype '{}'{}", word, suggestion(word, known)));
}

class Sha256 {
 public:
  Sha256() { sha256_init(&context_); }
  void add(std::string_view bytes) {
    sha256_update(&context_, bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
  }
  void add_file(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    char buffer[1 << 16];
    while (stream.read(buffer, sizeof buffer) || stream.gcount() > 0)
      add(std::string_view(buffer, static_cast<std::size_t>(stream.gcount())));
  }
  std::string hex() {
    std::uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&context_, sizeof digest, digest);
    return fmt::format("{:02x}", fmt::join(digest, ""));
  }

 private:
  sha256_ctx context_;
};

}  // namespace

template <class T, class Read>
const T& Shelf::once(std::map<std::string, T>& known, const std::string& file, Read read) {
  const auto at = known.find(file);
  return at != known.end() ? at->second : known.emplace(file, read(file)).first->second;
}
const Value& Shelf::yaml(const std::string& file) {
  return once(yaml_, file, load_yaml);
}
const ModelShape& Shelf::model(const std::string& file) {
  return once(models_, file, read_model);
}
const HardwareProfile& Shelf::hardware(const std::string& file) {
  return once(hardware_, file, read_hardware_file).profile;
}
const HardwareProfile& Shelf::hardware(const std::string& file, const TableUse& use) {
  const std::pair key(file, use);
  if (const auto known = with_tables_.find(key); known != with_tables_.end()) return known->second;
  const HardwareFile& plain = once(hardware_, file, read_hardware_file);
  HardwareProfile profile = plain.profile;
  for (const TableFile& table : plain.tables) read_table(table, profile, tables_read_ == Tables::kAll ? nullptr : &use);
  return with_tables_.emplace(key, std::move(profile)).first->second;
}

namespace {

class Reader {
 public:
  Reader(Value top, const LoadOptions& options, Shelf& shelf)
      : file_(top.pos().file), options_(options), shelf_(shelf), top_(std::move(top)) {
    for (const std::string& text : options.overrides) sets_.insert(sets_.begin(), override_layer(text));
    sets_.insert(sets_.begin(), options.layers.rbegin(), options.layers.rend());
    sets_.insert(sets_.end(), options.parts.begin(), options.parts.end());
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
      if (options_.only_variant && name != *options_.only_variant) continue;
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
    for (const std::string_view key : kNotInVariants)
      if (const auto value = variant.map().find(key))
        value->fail(key == "workload" || key == "seed" ? "variants run the same requests; give it once, outside of them"
                                                       : "a variant cannot have it");
  }

  // What a client asks for, the engine must know the cost of.
  static void check_clients(const Map& workload, const Scenario& s) {
    if (s.workload.over_http && !s.engine.api_server)
      workload.at("client").fail(
          fmt::format("'http' needs the cost of an API server, which preset '{}' does not state; expected "
                      "engine: {{api_server: {{request: 1 ms, answer: 2 ms}}}}, or in-process",
                      s.engine.preset));
    if (s.workload.top_p && !s.engine.scheduler.scheduler.starts_with("vllm"))
      workload.at("sampling")
          .fail(fmt::format("'top-p' has a known cost in vLLM's schedulers only; expected greedy with '{}'",
                            s.engine.scheduler.scheduler));
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
    s.model_file = catalogue_file("models", model);
    s.model = shelf_.model(s.model_file);
    s.hardware_file = catalogue_file("hardware", map.at("hardware"));
    s.hardware = shelf_.hardware(s.hardware_file);
    read_types(map, s);
    read_cluster(map, s);
    read_techniques(map, s);
    if (!map.has("workload")) map.fail("missing key 'workload'");
    const Map workload = map.map("workload");
    s.workload = read_workload(workload);
    read_slo(map, s);
    read_engine(layers, map, s);
    check_clients(workload, s);
    check_pools(map, s);
    map.done();
    check_pipeline(map, s);
    check_experts(map, s);
    copy_tables(shelf_.hardware(s.hardware_file, table_use(s)), s.hardware);
    check_lengths(workload, s);
    s.memory = plan_memory(s.model, s.hardware, memory_plan_input(s));
    if (!s.memory.does_not_fit.empty())
      throw DoesNotFit(model.pos(), fmt::format("{}: {}", model.path(), s.memory.does_not_fit));
    if (const std::int64_t blocks = s.memory.num_gpu_blocks.count(), batches = s.cluster.pipeline_parallel_size;
        blocks > 0 && blocks < batches && !batches_share_pool(s))
      map.map("cluster")
          .at("pipeline_parallel_size")
          .fail(fmt::format("the KV pool has {} blocks for {} batches in flight; expected one each or more", blocks,
                            batches));
    s.resolved = scenario_text(s, workload, true);
    Sha256 hash;
    hash.add(scenario_text(s, workload, false));
    hash.add_file(s.model_file);
    hash.add_file(s.hardware_file);
    if (s.cluster.node) hash.add_file(s.cluster.node_file);
    if (!s.draft_file.empty()) hash.add_file(s.draft_file);
    for (const LengthDistribution* law : {&s.workload.prompt_tokens, &s.workload.output_tokens})
      if (!law->path.empty()) hash.add_file(law->path);
    if (s.workload.trace) hash.add_file(s.workload.trace->path);
    s.sha256 = hash.hex();
    return s;
  }

  // Batches in flight are an engine's own business: only those that have them.
  static void check_pipeline(const Map& map, const Scenario& s) {
    if (s.cluster.pipeline_parallel_size == 1) return;
    const Value at = map.map("cluster").at("pipeline_parallel_size");
    const std::string& scheduler = s.engine.scheduler.scheduler;
    const std::string_view known[] = {"vllm-v0", "vllm-v1", "orca", "sarathi"};
    if (std::find(std::begin(known), std::end(known), scheduler) == std::end(known))
      at.fail(fmt::format("{} keeps one batch in flight; expected a preset of vLLM, Orca or Sarathi", s.engine.preset));
    if (s.techniques.zero_stage == 3) at.fail("stage 3 shards all layers over replicas; expected zero_stage below 3");
    if (s.engine.scheduler.speculation.num_tokens > 0) at.fail("not simulated together with speculative_config");
    if (s.cluster.prefill_replicas > 0) at.fail("not simulated together with prefill_replicas and kv_transfer");
    if (s.engine.kv_offloading_size.count() > 0) at.fail("not simulated together with kv_offloading_size");
  }

  static void check_experts(const Map& map, const Scenario& s) {
    if (!s.cluster.enable_expert_parallel) return;
    const Value at = map.map("cluster").at("enable_expert_parallel");
    if (s.engine.scheduler.scheduler != "vllm-v1")
      at.fail(fmt::format("{} shards experts as any MLP; expected a preset of vLLM V1", s.engine.preset));
    if (s.techniques.zero_stage == 3) at.fail("stage 3 shards the experts already; expected zero_stage below 3");
    if (s.cluster.prefill_replicas > 0) at.fail("not simulated together with prefill_replicas and kv_transfer");
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
    if (const auto activations = quantization.find("activations")) read_quantized_activations(*activations, s);
    if (const auto kv = quantization.find("kv_cache"))
      s.kv_dtype =
          choose(*kv, std::span<const Choice<std::optional<DType>>>(kKvTypes), "KV cache type").value_or(s.dtype);
    quantization.done();
  }

  // W8A8: both sides of a product in eight bits, where the card multiplies them. Weight-only formats go without.
  static void read_quantized_activations(const Value& value, Scenario& s) {
    s.quantized_activations =
        choose(value, std::span<const Choice<std::optional<DType>>>(kQuantizedActivations), "activation type");
    if (!s.quantized_activations) return;
    using enum WeightQuantization;
    const bool fits = *s.quantized_activations == DType::kInt8 ? s.quantization == kInt8
                                                               : s.quantization == kFp8 || s.quantization == kFp8Block;
    const std::string_view name = headroom::name_of(*s.quantized_activations);
    if (!fits)
      value.fail(fmt::format("activations in {} multiply weights in {} only; expected weights: {}", name, name, name));
    if (s.hardware.peak[static_cast<std::size_t>(*s.quantized_activations)].rate() <= 0)
      value.fail(
          fmt::format("{} has no {} arithmetic; without 'activations' the weights are brought to {} in the kernel",
                      s.hardware.device, name, headroom::name_of(s.dtype)));
  }

  static void read_cluster(const Map& map, Scenario& s) {
    const Map cluster = map.map("cluster");
    const auto replicas = cluster.find("replicas");
    if (replicas) s.cluster.replicas = replicas->integer(1, 100'000);
    read_pools(cluster, replicas, s.cluster);
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
    if (const auto n = cluster.find("pipeline_parallel_size")) {
      s.cluster.pipeline_parallel_size = n->integer(1, 1024);
      if (s.cluster.pipeline_parallel_size > s.model.num_layers)
        n->fail(fmt::format("{} stages for the {} layers of {}; expected one layer a stage or more",
                            s.cluster.pipeline_parallel_size, s.model.num_layers, s.model.name));
    }
    if (const auto on = cluster.find("enable_expert_parallel")) {
      s.cluster.enable_expert_parallel = on->boolean();
      const std::int64_t ranks = expert_ranks(s);
      if (s.cluster.enable_expert_parallel && !s.model.experts)
        on->fail(fmt::format("{} has no experts; models that do: mixtral-8x7b, qwen3-30b-a3b, deepseek-v3, ...",
                             s.model.name));
      if (s.model.experts && s.model.experts->num_experts % ranks != 0)
        on->fail(fmt::format("{} ranks (tensor_parallel_size x replicas) do not divide the {} experts of {}", ranks,
                             s.model.experts->num_experts, s.model.name));
    }
    if (const auto node = cluster.find("node")) {
      s.cluster.node_file = catalogue_file("machines", *node);
      s.cluster.node = read_node(s.cluster.node_file);
      s.hardware.price_per_hour = s.cluster.node->price_per_hour / static_cast<double>(s.cluster.node->gpus);
    }
    if (const auto nodes = cluster.find("nodes")) {
      if (!s.cluster.node)
        nodes->fail("counts machines; expected cluster.node beside it, see configs/hardware/node-*.yaml");
      s.cluster.nodes = nodes->integer(1, 100'000);
      const std::int64_t width = s.cluster.tensor_parallel_size * s.cluster.pipeline_parallel_size;
      const std::int64_t needed = Platform::machines_for(s.cluster.node->gpus, width, s.cluster.replicas);
      if (needed > s.cluster.nodes)
        nodes->fail(fmt::format("too few for {} x {} GPUs; expected {} or more machines of {}", s.cluster.replicas,
                                width, needed, s.cluster.node->gpus));
    }
    if (const auto router = cluster.find("router"))
      s.cluster.router = choose(*router, std::span<const Choice<RouterPolicy>>(kRouters), "router");
    s.cluster.decode_router = s.cluster.router;
    if (const auto router = cluster.find("decode_router")) {
      s.cluster.decode_router = choose(*router, std::span<const Choice<RouterPolicy>>(kRouters), "router");
      if (s.cluster.decode_replicas == 0) router->fail("has no effect without decode_replicas");
    }
    cluster.done();
  }

  static void read_pools(const Map& cluster, const std::optional<Value>& replicas, ClusterSpec& c) {
    const auto prefill = cluster.find("prefill_replicas"), decode = cluster.find("decode_replicas");
    if (prefill) c.prefill_replicas = prefill->integer(1, 50'000);
    if (decode) c.decode_replicas = decode->integer(1, 50'000);
    if (prefill.has_value() != decode.has_value())
      (prefill ? prefill : decode)->fail("goes with the other pool; expected prefill_replicas and decode_replicas");
    if (!prefill) return;
    if (replicas && c.replicas != c.prefill_replicas + c.decode_replicas)
      replicas->fail(fmt::format("{} is not the sum of prefill_replicas ({}) and decode_replicas ({})", c.replicas,
                                 c.prefill_replicas, c.decode_replicas));
    c.replicas = c.prefill_replicas + c.decode_replicas;
  }

  // What hangs together across the sections of a disaggregated scenario.
  static void check_pools(const Map& map, const Scenario& s) {
    if (s.cluster.prefill_replicas == 0) return;
    const Value pool = map.map("cluster").at("prefill_replicas");
    if (s.engine.kv_transfer == KvTransferMode::kNone)
      pool.fail(
          "nothing moves KV between the pools; expected an engine with kv_transfer, as preset: disaggregated has it");
    if (s.techniques.zero_stage == 3)
      map.map("techniques").at("zero_stage").fail("stage 3 is not simulated together with prefill_replicas");
    if (s.workload.samples > 1)
      map.map("workload").at("samples").fail("several samples of a prompt are not handed over; expected 1 sample");
  }

  static void read_techniques(const Map& map, Scenario& s) {
    const Map techniques = map.map("techniques");
    TechniqueSpec& t = s.techniques;
    const auto stage = techniques.find("zero_stage");
    if (stage) t.zero_stage = static_cast<int>(stage->integer(0, 3));
    if (const auto offload = techniques.find("zero_offload")) {
      t.zero_offload = choose(*offload, std::span<const Choice<ZeroOffload>>(kOffloads), "place to offload to");
      if (t.zero_offload != ZeroOffload::kNone && t.zero_stage != 3)
        offload->fail("parameters are offloaded by stage 3 only; expected zero_stage: 3 beside it");
      if (t.zero_offload == ZeroOffload::kNvme && (!s.cluster.node || s.cluster.node->nvme.rate() <= 0))
        offload->fail("needs a machine with NVMe drives; expected cluster.node, see configs/hardware/node-*.yaml");
    }
    const auto of_stage_3 = [&](std::string_view key) {
      const auto value = techniques.find(key);
      if (value && t.zero_stage != 3) value->fail("belongs to zero_stage: 3, which is not set");
      return value;
    };
    if (const auto n = of_stage_3("zero_shard_size")) {
      const std::int64_t size = n->integer(1, s.cluster.replicas);
      if (size != 1 && size != s.cluster.replicas)
        n->fail(fmt::format("groups of some of the replicas are not simulated; expected 1 or {}", s.cluster.replicas));
      if (size == 1 && t.zero_offload == ZeroOffload::kNone && s.cluster.replicas > 1)
        n->fail("each replica keeps all weights then, as without ZeRO; expected zero_offload: cpu or nvme beside it");
      t.zero_shard_size = size;
    }
    if (const auto n = of_stage_3("zero_prefetch_layers")) t.zero_prefetch_layers = n->integer(0, 1000);
    if (const auto n = of_stage_3("zero_max_live_parameters"))
      t.zero_max_live_parameters = n->integer(1, std::int64_t{1} << 50);
    if (const auto part = of_stage_3("zero_pinned_fraction")) t.zero_pinned_fraction = part->number(0, 0.99);
    if (const auto value = techniques.find("gradient_checkpointing")) t.gradient_checkpointing = checkpointing(*value);
    if (const auto on = techniques.find("autograd")) t.autograd = on->boolean();
    techniques.done();
  }

  // false; true or full, selective; or how many layers run again at once.
  static Checkpointing checkpointing(const Value& value) {
    using enum Checkpointing::Kind;
    const std::string word = value.text();
    if (word == "false") return {};
    if (word == "true" || word == "full") return {kLayers, 1};
    if (word == "selective") return {kSelective, 1};
    if (!word.empty() && word.find_first_not_of("0123456789") == std::string::npos)
      return {kLayers, value.integer(1, 100'000)};
    const std::string_view known[] = {"false", "true", "full", "selective"};
    value.fail(
        fmt::format("no kind of checkpointing '{}'; expected false, true, full, selective or a number of "
                    "layers{}",
                    word, suggestion(word, known)));
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

  void read_engine(const std::vector<Value>& layers, const Map& map, Scenario& s) {
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
    const Map entry = shelf_.yaml(file).map();
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
    s.engine = read_engine_section(layered(parts), file, s);
  }

  std::string file_;
  const LoadOptions& options_;
  Shelf& shelf_;
  Value top_;
  std::vector<Value> sets_;  // what lies over the scenario, uppermost first
};

}  // namespace

ScenarioFile load_scenario(const std::string& file, const LoadOptions& options) {
  Shelf shelf;
  return load_scenario(file, options, shelf);
}

ScenarioFile load_scenario(const std::string& file, const LoadOptions& options, Shelf& shelf) {
  return Reader(shelf.yaml(file), options, shelf).read();
}

ScenarioFile load_scenario(const Value& scenario, const LoadOptions& options) {
  Shelf shelf;
  return Reader(scenario, options, shelf).read();
}

void check_file(const std::string& file, const LoadOptions& options) {
  const Map map = load_yaml(file).map();
  Shelf shelf(Shelf::Tables::kAll);
  if (map.has("model_type")) {
    read_model(file);
  } else if (map.has("device")) {
    read_hardware(file);
  } else if (map.has("gpus_per_node")) {
    read_node(file);
  } else if (map.has("summary") && map.has("engine")) {
    const Map engine = map.at("engine").map();
    check_scheduler_name(engine.at("scheduler"));
  } else if (map.has("axes") || map.has("zip")) {
    read_sweep(file, shelf);
  } else {
    const ScenarioFile scenario = load_scenario(file, options, shelf);
    make_workload(scenario.variants.front().second.workload, scenario.variants.front().second.seed);  // reads a trace
    return;
  }
  if (!options.overrides.empty() || options.seed) throw ConfigError({file, 0, 0}, "--set and --seed are for scenarios");
}

}  // namespace headroom
