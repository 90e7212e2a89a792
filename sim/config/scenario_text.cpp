// The resolved scenario, written out: presets expanded, defaults spelt. It reads back to the same scenario.
#include "sim/config/catalogue.h"
#include "sim/config/quantity.h"
#include "sim/config/scenario_parts.h"

namespace headroom {
namespace {

class Lines {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    text += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  std::string text;
};

template <class T, std::size_t N>
std::string_view word(T value, const Choice<T> (&choices)[N]) {
  return name_of(value, std::span<const Choice<T>>(choices));
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + "\"";
}

void write_engine(const Scenario& s, bool whole, Lines& out) {
  const EngineSpec& e = s.engine;
  const SchedulerOptions& o = e.scheduler;
  const bool v1 = o.scheduler == "vllm-v1", v0 = o.scheduler == "vllm-v0", sarathi = o.scheduler == "sarathi";
  const bool continuous = o.scheduler == "hf-continuous", hf = o.scheduler == "hf-generate";
  const bool static_batch = hf || o.scheduler == "fastertransformer";
  const bool paged = e.kv_allocator == "paged";
  out.add("engine:");
  out.add("  preset: {}", e.preset);
  out.add("  scheduler: {}", o.scheduler);
  if (hf) out.add("  cache_implementation: {}", o.static_cache ? "static" : "dynamic");
  out.add("  kv_allocator: {}", e.kv_allocator);
  if (paged) out.add("  block_size: {}", e.block_size);
  if (paged && !static_batch && o.scheduler != "orca") out.add("  enable_prefix_caching: {}", e.enable_prefix_caching);
  if (e.kv_allocator.starts_with("contiguous")) out.add("  contiguous_fit: {}", word(e.contiguous_fit, kFits));
  if (paged && v0) out.add("  swap_space: {}", print(e.swap_space));
  if (e.kv_transfer != KvTransferMode::kNone) out.add("  kv_transfer: {}", word(e.kv_transfer, kKvTransfers));
  if (e.kv_offloading_size.count() > 0) {
    out.add("  kv_offloading_size: {}", print(e.kv_offloading_size));
    out.add("  enable_cross_layers_blocks: {}", e.cross_layers_blocks);
  }
  out.add("  max_model_len: {}", o.max_model_len);
  out.add("  max_num_seqs: {}", o.max_num_seqs);
  if (sarathi) out.add("  chunk_size: {}", o.chunk_size);
  if (!static_batch && !sarathi) out.add("  max_num_batched_tokens: {}", o.max_num_batched_tokens);
  if (v1) {
    out.add("  enable_chunked_prefill: {}", o.enable_chunked_prefill);
    out.add("  long_prefill_token_threshold: {}", o.long_prefill_token_threshold);
    out.add("  scheduler_reserve_full_isl: {}", o.reserve_full_prompt);
    out.add("  async_scheduling: {}", e.host.asynchronous);
  }
  if (v1 || v0 || sarathi) out.add("  watermark: {}", print_number(o.watermark));
  if (v0) out.add("  preemption_mode: {}", word(o.preemption, kPreemptionModes));
  if (continuous) {
    out.add("  rules: {}", word(o.continuous_rules, kContinuousRules));
    out.add("  policy: {}", word(o.continuous_policy, kContinuousPolicies));
    out.add("  safety_margin: {}", print_number(o.safety_margin));
  }
  if (hf) out.add("  logits_to_keep: {}", !e.logits_for_all_tokens);
  if (v1 && o.speculation.num_tokens > 0)
    out.add("  speculative_config: {{method: {}{}, num_speculative_tokens: {}, acceptance_rate: {}{}}}",
            word(o.speculation.method, kDraftMethods),
            s.draft_file.empty() ? "" : ", model: " + quoted(lasting_name("models", s.draft_file, whole)),
            o.speculation.num_tokens, print_number(o.speculation.acceptance_rate),
            o.speculation.method == DraftMethod::kNgram
                ? ", found_fraction: " + print_number(o.speculation.found_fraction)
                : "");
  out.add("  memory_rule: {}", word(e.memory_rule, kMemoryRules));
  if (e.memory_rule != MemoryRule::kHfGenerate && e.memory_rule != MemoryRule::kFasterTransformer) {
    out.add("  gpu_memory_utilization: {}", print_number(e.gpu_memory_utilization));
    if (e.kv_cache_memory) out.add("  kv_cache_memory_bytes: {}", print(*e.kv_cache_memory));
    if (e.num_gpu_blocks_override) out.add("  num_gpu_blocks_override: {}", *e.num_gpu_blocks_override);
  }
  out.add("  attention: {}", word(e.attention, kAttentions));
  if (e.first_paged_kernel) out.add("  paged_attention: v1");
  out.add("  execution: {}", word(e.style, kStyles));
  if (v0 || v1 || sarathi || continuous) out.add("  enforce_eager: {}", e.host.graph_sizes.empty());
  if (e.host.graphs_of_decodes_only) out.add("  cudagraph_mode: full-decode-only");
  if (!e.host.graph_sizes.empty() && !hf) out.add("  cuda_graph_memory: {}", print(e.cuda_graph_bytes));
  out.add("  memory_uncertainty: {}", print_number(e.memory_uncertainty));
  out.add("  host: {{per_step: {}, per_sequence: {}, per_prefill_token: {}{}, uncertainty: {}}}",
          print(e.host.per_step), print(e.host.per_sequence), print(e.host.per_prefill_token),
          e.scheduler.scheduler == "hf-generate" && e.style != ExecutionStyle::kFused
              ? ", per_call: " + print(e.host.per_call)
              : "",
          print_number(e.host_uncertainty));
  if (e.api_server && s.workload.over_http)
    out.add("  api_server: {{request: {}, answer: {}}}", print(e.api_server->request), print(e.api_server->answer));
}

// Written only where one is on.
void write_techniques(const TechniqueSpec& t, Lines& out) {
  using enum Checkpointing::Kind;
  if (t.zero_stage == 0 && t.gradient_checkpointing.kind == kNone && !t.autograd) return;
  const Checkpointing& c = t.gradient_checkpointing;
  out.add("techniques:");
  out.add("  zero_stage: {}", t.zero_stage);
  if (t.zero_stage == 3) {
    out.add("  zero_offload: {}", word(t.zero_offload, kOffloads));
    if (t.zero_shard_size) out.add("  zero_shard_size: {}", *t.zero_shard_size);
    out.add("  zero_prefetch_layers: {}", t.zero_prefetch_layers);
    out.add("  zero_max_live_parameters: {}", t.zero_max_live_parameters);
    out.add("  zero_pinned_fraction: {}", print_number(t.zero_pinned_fraction));
  }
  out.add("  gradient_checkpointing: {}", c.kind == kNone        ? "false"
                                          : c.kind == kSelective ? "selective"
                                                                 : std::to_string(c.layers));
  out.add("  autograd: {}", t.autograd);
}

// The files of a workload, by the key that names each.
std::vector<std::pair<std::string, std::string>> workload_files(const WorkloadSpec& w, bool whole) {
  std::vector<std::pair<std::string, std::string>> files;
  const auto add = [&](std::string key, const std::string& file) {
    if (!file.empty()) files.emplace_back(std::move(key), lasting_name("traces", file, whole));
  };
  if (w.trace) add("trace.path", w.trace->path);
  add("prompt_tokens.path", w.prompt_tokens.path);
  add("output_tokens.path", w.output_tokens.path);
  if (w.sessions) add("sessions.turns.path", w.sessions->turns.path);
  return files;
}

}  // namespace

std::string scenario_text(const Scenario& s, const Map& workload, bool whole) {
  Lines out;
  out.add("name: {}", quoted(s.name));
  out.add("seed: {}", s.seed);
  out.add("model: {}", quoted(lasting_name("models", s.model_file, whole)));
  out.add("hardware: {}", quoted(lasting_name("hardware", s.hardware_file, whole)));
  out.add("dtype: {}", name_of(s.dtype));
  out.add("quantization: {{weights: {}, group_size: {}, activations: {}, kv_cache: {}}}",
          word(s.quantization, kQuantizations), s.quantization_group,
          s.quantized_activations ? name_of(*s.quantized_activations) : "none",
          s.kv_dtype == s.dtype ? "none" : name_of(s.kv_dtype));
  const std::string pools =
      s.cluster.prefill_replicas == 0
          ? ""
          : fmt::format(", prefill_replicas: {}, decode_replicas: {}, decode_router: {}", s.cluster.prefill_replicas,
                        s.cluster.decode_replicas, word(s.cluster.decode_router, kRouters));
  out.add("cluster: {{replicas: {}, tensor_parallel_size: {}, pipeline_parallel_size: {}{}, router: {}{}{}{}}}",
          s.cluster.replicas, s.cluster.tensor_parallel_size, s.cluster.pipeline_parallel_size,
          s.cluster.enable_expert_parallel ? ", enable_expert_parallel: true" : "", word(s.cluster.router, kRouters),
          pools, s.cluster.node ? ", node: " + quoted(lasting_name("machines", s.cluster.node_file, whole)) : "",
          s.cluster.nodes > 0 ? ", nodes: " + std::to_string(s.cluster.nodes) : "");
  write_engine(s, whole, out);
  write_techniques(s.techniques, out);
  out.add("workload:");
  out.text += text_of(workload, 2, workload_files(s.workload, whole));
  if (s.slo.ttft || s.slo.tpot || s.slo.e2el) {
    out.add("slo:");
    if (s.slo.ttft) out.add("  ttft: {}", print(*s.slo.ttft));
    if (s.slo.tpot) out.add("  tpot: {}", print(*s.slo.tpot));
    if (s.slo.e2el) out.add("  e2el: {}", print(*s.slo.e2el));
  }
  return out.text;
}

}  // namespace headroom
