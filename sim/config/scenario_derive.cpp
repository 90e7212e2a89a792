#include "sim/config/scenario_derive.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/network/collectives.h"

namespace headroom {

std::vector<std::int64_t> cuda_graph_sizes(std::int64_t max_num_seqs, std::int64_t max_num_batched_tokens,
                                           std::int64_t q) {
  const std::int64_t most = std::min({2 * q * max_num_seqs, std::int64_t{512}, max_num_batched_tokens});
  std::vector<std::int64_t> sizes;
  const auto add = [&](std::int64_t size) {
    size = round_up(size, q);
    if (size <= most && (sizes.empty() || size > sizes.back())) sizes.push_back(size);
  };
  for (const std::int64_t size : {1, 2, 4}) add(size);
  for (std::int64_t size = 8; size < 256; size += 8) add(size);
  for (std::int64_t size = 256; size <= most; size += 16) add(size);
  return sizes;
}

std::int64_t longest_prompt(const Scenario& s) {
  const WorkloadSpec& w = s.workload;
  const LengthDistribution& law = w.prompt_tokens;
  const std::int64_t limit = s.engine.scheduler.max_model_len;
  if (w.trace || w.sessions) return limit;
  std::int64_t longest = limit;
  using enum LengthDistribution::Kind;
  if (law.kind == kFixed) longest = static_cast<std::int64_t>(law.mean);
  if (law.kind == kEmpirical) longest = *std::max_element(law.values.begin(), law.values.end());
  if (law.max > 0) longest = std::min(longest, law.max);
  if (w.shared_prefix) longest += w.shared_prefix->tokens;
  return std::min(longest, limit);
}

std::int64_t gpus_per_replica(const Scenario& s) {
  return s.cluster.tensor_parallel_size * s.cluster.pipeline_parallel_size;
}

std::int64_t expert_ranks(const Scenario& s) {
  return s.cluster.enable_expert_parallel ? s.cluster.tensor_parallel_size * s.cluster.replicas : 1;
}

NodeProfile node_of(const Scenario& s) {
  const CollectiveLink card = all_reduce_link(s.hardware);
  NodeProfile node;
  if (s.cluster.node) {
    node = *s.cluster.node;
  } else {
    node.gpus = s.cluster.replicas * gpus_per_replica(s);
    node.host_link = s.hardware.pcie_bandwidth;
    node.peers_over_pcie = s.hardware.nvlink_bandwidth.rate() <= 0;
  }
  node.all_reduce_bandwidth = node.all_reduce_bandwidth.value_or(card.bandwidth);
  node.all_gather_bandwidth = node.all_gather_bandwidth.value_or(*node.all_reduce_bandwidth);
  node.collective_latency = node.collective_latency.value_or(card.latency);
  return node;
}

Platform platform_of(const Scenario& s) {
  const NodeProfile node = node_of(s);
  const std::int64_t needed = Platform::machines_for(node.gpus, gpus_per_replica(s), s.cluster.replicas);
  return Platform(node, std::max(needed, s.cluster.nodes));
}

namespace {

CollectiveLink link_between(const Scenario& s, CollectiveKind kind, std::int64_t ranks) {
  const NodeProfile node = node_of(s);
  const Platform platform(node, ceil_div(ranks, node.gpus));
  return collective_link(node, platform, kind, platform.gpus_of(ranks, 0));
}

// GPUs of the first `replicas`, of each the first stage of its pipeline.
std::vector<std::int64_t> first_stages(const Scenario& s, const Platform& platform, std::int64_t replicas) {
  std::vector<std::int64_t> gpus;
  for (std::int64_t r = 0; r < replicas; ++r) {
    const std::vector<std::int64_t> of_replica = platform.gpus_of(gpus_per_replica(s), r);
    gpus.insert(gpus.end(), of_replica.begin(), of_replica.begin() + s.cluster.tensor_parallel_size);
  }
  return gpus;
}

// Between the ranks that hold the experts of a stage.
CollectiveLink expert_link(const Scenario& s) {
  const Platform platform = platform_of(s);
  const std::vector<std::int64_t> gpus = first_stages(s, platform, s.cluster.replicas);
  return collective_link(node_of(s), platform, CollectiveKind::kAllToAll, gpus);
}

// What each GPU of a stage of the first `replicas` gets from its host while all of them copy.
BytesPerSecond host_link_of(const Scenario& s, std::int64_t replicas) {
  const NodeProfile node = node_of(s);
  const Platform platform(node, Platform::machines_for(node.gpus, gpus_per_replica(s), replicas));
  std::vector<Route> copies;
  for (const std::int64_t g : first_stages(s, platform, replicas))
    copies.push_back(platform.route(platform.host_of(platform.gpu(g)), platform.gpu(g)));
  return platform.slowest_of(std::move(copies));
}

// Between the same tensor-parallel ranks of all replicas, all of these at once.
CollectiveLink weights_link(const Scenario& s) {
  const Platform platform = platform_of(s);
  const std::vector<std::int64_t> gpus = first_stages(s, platform, s.cluster.replicas);
  const auto tp = static_cast<std::size_t>(s.cluster.tensor_parallel_size);
  std::vector<std::vector<std::int64_t>> groups(tp);
  for (std::size_t i = 0; i < gpus.size(); ++i) groups[i % tp].push_back(gpus[i]);
  return collective_link(node_of(s), platform, CollectiveKind::kAllGather, groups);
}

std::optional<ZeroWeights> zero_weights_of(const Scenario& s, const WeightOptions& weights) {
  const TechniqueSpec& t = s.techniques;
  if (t.zero_stage < 3) return std::nullopt;  // nothing that inference has is sharded
  ZeroOptions o;
  o.offload = t.zero_offload;
  o.ranks = t.zero_shard_size.value_or(s.cluster.replicas);
  o.prefetch_layers = t.zero_prefetch_layers;
  o.max_live_parameters = t.zero_max_live_parameters;
  o.pinned_fraction = t.zero_pinned_fraction;
  o.host_link = host_link_of(s, o.ranks);
  if (o.ranks > 1) o.all_gather = weights_link(s);
  if (const auto& node = s.cluster.node) {  // the drives bring the parts of all tensor-parallel ranks
    const std::int64_t tp = s.cluster.tensor_parallel_size;
    const std::int64_t machines = Platform::machines_for(node->gpus, tp, o.ranks);
    o.nvme = node->nvme * (static_cast<double>(machines) / static_cast<double>(tp));
  }
  return zero_weights(s.model, weights, o);
}

}  // namespace

ForwardOptions forward_options(const Scenario& s) {
  ForwardOptions o;
  o.weights.dtype = s.dtype;
  o.weights.quantization = s.quantization;
  o.weights.group_size = s.quantization_group;
  o.weights.tensor_parallel = s.cluster.tensor_parallel_size;
  o.weights.expert_parallel = expert_ranks(s);
  if (s.cluster.enable_expert_parallel) o.expert_batches = s.cluster.replicas;
  o.activation_dtype = s.dtype;
  o.quantized_activations = s.quantized_activations;
  o.kv_dtype = s.kv_dtype;
  o.attention = s.engine.attention;
  o.style = s.engine.style;
  o.masked_attention = s.engine.scheduler.static_cache;
  o.top_p = s.workload.top_p;
  o.first_paged_kernel = s.engine.first_paged_kernel;
  return o;
}

TableUse table_use(const Scenario& s) {
  const std::int64_t tp = s.cluster.tensor_parallel_size;
  std::vector<AttentionHeads> heads{attention_heads(s.model, tp)};
  if (s.draft_model) heads.push_back(attention_heads(*s.draft_model, tp));
  return table_use(forward_options(s), std::move(heads));
}

MemoryPlanInput memory_plan_input(const Scenario& s) {
  MemoryPlanInput in;
  in.rule = s.engine.memory_rule;
  in.forward = forward_options(s);
  in.tensor_parallel = s.cluster.tensor_parallel_size;
  in.pipeline_parallel = s.cluster.pipeline_parallel_size;
  in.gpu_memory_utilization = s.engine.gpu_memory_utilization;
  in.max_num_batched_tokens = s.engine.scheduler.max_num_batched_tokens;
  in.max_num_seqs = s.engine.scheduler.max_num_seqs;
  in.max_model_len = s.engine.scheduler.max_model_len;
  in.block_size = s.engine.block_size;
  in.prefill_tokens = s.engine.scheduler.max_num_seqs * longest_prompt(s);
  in.cuda_graph_bytes = s.engine.host.graph_sizes.empty() ? Bytes{0} : s.engine.cuda_graph_bytes;
  in.null_block = s.engine.null_block;
  in.zero = zero_weights_of(s, in.forward.weights);
  in.autograd = s.techniques.autograd;
  in.checkpointing = s.techniques.gradient_checkpointing;
  in.kv_cache_memory = s.engine.kv_cache_memory;
  if (s.draft_model) {
    in.draft_kv_per_token = kv_bytes_per_token(*s.draft_model, s.kv_dtype, s.cluster.tensor_parallel_size).count();
    WeightOptions weights;
    weights.dtype = s.dtype;
    weights.tensor_parallel = s.cluster.tensor_parallel_size;
    in.draft_weights = weight_bytes(*s.draft_model, weights);
    if (s.engine.scheduler.speculation.method == DraftMethod::kEagle) {
      // A head shares the model's embedding and LM head, and has a product from two hidden states to one.
      const ParameterCount p = count_parameters(*s.draft_model);
      const std::int64_t own = p.total() - p.embedding - p.lm_head + 2 * s.model.hidden_size * s.model.hidden_size;
      in.draft_weights = Bytes{own * bytes_of(s.dtype) / s.cluster.tensor_parallel_size};
    }
  }
  if (s.engine.num_gpu_blocks_override) in.num_gpu_blocks_override = Blocks{*s.engine.num_gpu_blocks_override};
  return in;
}

StepTimeOptions step_time_options(const Scenario& s) {
  StepTimeOptions o;
  o.forward = forward_options(s);
  o.host = s.engine.host;
  o.tensor_parallel = s.cluster.tensor_parallel_size;
  const std::int64_t per_token = kv_bytes_per_token(s.model, s.kv_dtype, s.cluster.tensor_parallel_size).count();
  o.kv_block_bytes = per_token * s.engine.block_size;
  o.kv_bytes_per_token = static_cast<double>(per_token);
  o.all_reduce = link_between(s, CollectiveKind::kAllReduce, o.tensor_parallel);
  if (o.forward.expert_batches > 1) o.all_to_all = expert_link(s);
  if (s.cluster.node) o.host_link = host_link_of(s, 1);
  o.zero = zero_weights_of(s, o.forward.weights);
  o.draft = s.draft_model;
  o.draft_tokens = s.engine.scheduler.speculation.num_tokens;
  return o;
}

HostCopy host_copy(const Scenario& s) {
  if (s.engine.kv_offloading_size.count() == 0) return {};
  HostCopy copy;
  copy.block = Bytes{s.memory.kv_per_token.count() * s.engine.block_size};
  copy.pieces = s.engine.cross_layers_blocks ? 1 : 2 * s.model.num_layers;
  copy.per_piece = s.hardware.copy_latency;
  copy.link = host_link_of(s, 1);
  return copy;
}

HostCopy swap_copy(const Scenario& s) {
  if (s.engine.scheduler.scheduler != "vllm-v0" || s.engine.swap_space.count() == 0) return {};
  HostCopy copy;
  copy.block = Bytes{s.memory.kv_per_token.count() * s.engine.block_size};
  copy.pieces = 2 * s.model.num_layers;
  copy.per_piece = s.hardware.copy_latency;
  copy.link = s.cluster.node ? host_link_of(s, 1) : s.hardware.pcie_bandwidth;
  return copy;
}

std::vector<CollectiveLink> stage_links(const Scenario& s) {
  const NodeProfile node = node_of(s);
  const std::int64_t tp = s.cluster.tensor_parallel_size, stages = s.cluster.pipeline_parallel_size;
  const Platform platform(node, Platform::machines_for(node.gpus, tp * stages, 1));
  const std::vector<std::int64_t> gpus = platform.gpus_of(tp * stages, 0);
  std::vector<CollectiveLink> links;
  for (std::int64_t stage = 0; stage + 1 < stages; ++stage) {
    // Each tensor-parallel rank sends its part to the same rank of the next stage.
    std::vector<Route> parts;
    for (std::int64_t rank = stage * tp; rank < (stage + 1) * tp; ++rank)
      parts.push_back(platform.route(platform.gpu(gpus[static_cast<std::size_t>(rank)]),
                                     platform.gpu(gpus[static_cast<std::size_t>(rank + tp)])));
    const Seconds latency = *node.collective_latency + parts.back().latency;
    links.push_back({static_cast<double>(tp) * platform.slowest_of(std::move(parts)), latency});
  }
  return links;
}

bool batches_share_pool(const Scenario& s) {
  return s.cluster.pipeline_parallel_size > 1 && s.engine.scheduler.scheduler == "vllm-v1" &&
         s.engine.kv_allocator == "paged";
}

std::unique_ptr<KvAllocator> make_kv_allocator(const Scenario& s) {
  KvAllocatorOptions o;
  o.capacity_tokens = s.memory.kv_pool_tokens.count();
  if (const std::int64_t lanes = s.cluster.pipeline_parallel_size; lanes > 1 && !batches_share_pool(s))
    o.capacity_tokens = s.memory.num_gpu_blocks.count() > 0
                            ? s.memory.num_gpu_blocks.count() / lanes * s.engine.block_size
                            : o.capacity_tokens / lanes;
  o.kv_bytes_per_token = s.memory.kv_per_token.count();
  o.block_size = s.engine.block_size;
  o.enable_prefix_caching = s.engine.enable_prefix_caching;
  o.cpu_blocks = s.engine.swap_space.count() / std::max<std::int64_t>(1, o.block_size * o.kv_bytes_per_token);
  if (const HostCopy copy = host_copy(s); copy.block.count() > 0)
    o.host_blocks = s.engine.kv_offloading_size.count() / (copy.block.count() * s.cluster.tensor_parallel_size);
  o.fit = s.engine.contiguous_fit;
  o.num_layers = s.model.num_layers;
  for (const KvAllocatorEntry& entry : kv_allocators())
    if (entry.name == s.engine.kv_allocator) return entry.make(o);
  return nullptr;
}

}  // namespace headroom
