// The engine section of a scenario, over its preset: switches of the scheduler, the allocator, the host's cost.
#include <algorithm>

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
  value.expects(known);
  const std::string word = value.text();
  if (std::find(known.begin(), known.end(), word) == known.end())
    value.fail(fmt::format("no {} '{}'{}", noun, word, suggestion(word, known)));
  return word;
}

// Keys that mean nothing to the chosen scheduler or allocator are errors, not silence; a preset may
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
    const bool offloads = is("vllm-v1") && e_.enable_prefix_caching;
    if (const auto size =
            when(offloads, "kv_offloading_size", is("vllm-v1") ? "without enable_prefix_caching" : with_scheduler())) {
      e_.kv_offloading_size = size->size();
      const std::int64_t tp = scenario_.cluster.tensor_parallel_size;
      const Bytes block = kv_bytes_per_token(scenario_.model, scenario_.kv_dtype, tp) * Tokens{e_.block_size * tp};
      if (e_.kv_offloading_size.count() > 0 && e_.kv_offloading_size < block)
        size->fail(fmt::format("holds no block: one of {} tokens takes {}", e_.block_size, print(block)));
    }
    if (const auto on = when(paged && is("vllm-v1"), "enable_cross_layers_blocks", with_scheduler()))
      e_.cross_layers_blocks = on->boolean();
    if (const auto how = when(paged && is("vllm-v1"), "kv_transfer", with_scheduler())) {
      e_.kv_transfer = choose(*how, std::span<const Choice<KvTransferMode>>(kKvTransfers), "KV transfer");
      if (e_.kv_transfer != KvTransferMode::kNone && scenario_.cluster.prefill_replicas == 0)
        (how->pos().file == preset_file_ ? map_.at("preset") : *how)
            .fail("needs two pools of replicas; expected cluster: {prefill_replicas: 1, decode_replicas: 1}");
    }
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
      o().plans_ahead = e_.host.asynchronous;
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
    if (const auto kernel = when(v0, "paged_attention", otherwise)) {
      constexpr Choice<bool> kKernels[] = {{"current", false}, {"v1", true}};
      e_.first_paged_kernel = choose(*kernel, std::span<const Choice<bool>>(kKernels), "paged attention kernel");
    }
    const Value execution = map_.at("execution");
    e_.style = choose(execution, std::span<const Choice<ExecutionStyle>>(kStyles), "execution");
    if (e_.style == ExecutionStyle::kCompiled && !o().static_cache)
      execution.fail(
          "a compiled step needs a cache whose tensors stay in place; expected cache_implementation: static");
  }

  void read_speculation() {
    const auto config = when(is("vllm-v1"), "speculative_config", with_scheduler());
    if (!config) return;
    if (e_.kv_transfer != KvTransferMode::kNone) config->fail("is not simulated together with kv_transfer");
    const Map map = config->map();
    Speculation& s = o().speculation;
    s.method = choose(map.at("method"), std::span<const Choice<DraftMethod>>(kDraftMethods), "method of speculation");
    s.num_tokens = map.at("num_speculative_tokens").integer(1, 64);
    s.acceptance_rate = map.at("acceptance_rate").number(0, 1);
    if (s.method == DraftMethod::kNgram) {
      if (const auto found = map.find("found_fraction")) s.found_fraction = found->number(0, 1);
    } else if (s.method == DraftMethod::kDraftModel) {
      const Value model = map.at("model");
      scenario_.draft_file = catalogue_file("models", model);
      scenario_.draft_model = read_model(scenario_.draft_file);
      const std::int64_t tp = scenario_.cluster.tensor_parallel_size;
      if (scenario_.draft_model->num_heads % tp != 0)
        model.fail(fmt::format("tensor_parallel_size {} does not divide its {} attention heads", tp,
                               scenario_.draft_model->num_heads));
      if (const auto on = map_.find("async_scheduling"); e_.host.asynchronous) {  // the two exclude each other
        if (on->pos().file != preset_file_)
          on->fail("a draft model's steps are not scheduled asynchronously; expected false");
        e_.host.asynchronous = o().plans_ahead = false;
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
    if (const auto mode = map_.find("cudagraph_mode")) {
      if (!graphs) mode->fail("engine.cudagraph_mode: has no effect without CUDA graphs");
      constexpr Choice<bool> kModes[] = {{"full-and-piecewise", false}, {"full-decode-only", true}};
      e_.host.graphs_of_decodes_only = choose(*mode, std::span<const Choice<bool>>(kModes), "CUDA graph mode");
    }
    if (e_.style == ExecutionStyle::kCompiled)  // each number of rows has a graph of its own, nothing is padded
      for (std::int64_t rows = 1; rows <= o().max_num_seqs; ++rows) e_.host.graph_sizes.push_back(rows);
    if (graphs)
      e_.host.graph_sizes =
          cuda_graph_sizes(o().max_num_seqs, o().max_num_batched_tokens, 1 + o().speculation.num_tokens);
    const Map host = map_.map("host");
    e_.host.per_step = host.at("per_step").time();
    e_.host.per_sequence = host.at("per_sequence").time();
    if (const auto time = host.find("per_prefill_token")) e_.host.per_prefill_token = time->time();
    if (const auto time = host.find("per_call")) {
      const bool calls = is("hf-generate") && e_.style != ExecutionStyle::kFused;  // PyTorch's own generate()
      if (calls)
        e_.host.per_call = time->time();
      else if (time->pos().file != preset_file_)
        time->fail(is("hf-generate") ? "has no effect with execution 'fused'"
                                     : fmt::format("has no effect {}", with_scheduler()));
    }
    e_.host_uncertainty = host.at("uncertainty").number(0, 2);
    host.done();
    e_.memory_uncertainty = map_.at("memory_uncertainty").number(0, 2);
    read_api_server();
  }

  // What only requests that come over HTTP pay.
  void read_api_server() {
    const auto server = map_.find("api_server");
    if (!server) return;
    const Map map = server->map();
    e_.api_server = ApiServer{map.at("request").time(), map.at("answer").time()};
    map.done();
  }

  const Map& map_;
  const std::string& preset_file_;
  Scenario& scenario_;  // its model is read already; a draft model is added
  EngineSpec e_;
  bool static_batch_ = false;
};

}  // namespace

EngineSpec read_engine_section(const Map& map, const std::string& preset_file, Scenario& scenario) {
  return EngineReader(map, preset_file, scenario).read();
}

void check_scheduler_name(const Value& value) {
  checked_name(value, names_of_schedulers(), "scheduler");
}

}  // namespace headroom
