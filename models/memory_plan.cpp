#include "models/memory_plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "models/pipeline.h"

namespace headroom {
namespace {

std::string gib(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / static_cast<double>(kGiB));
  return text;
}

class Planner {
 public:
  Planner(const ModelShape& model, const HardwareProfile& hardware, const MemoryPlanInput& input)
      : m_(model), hw_(hardware), in_(input) {}

  MemoryPlan plan() {
    if (compute()) return p_;
    explain();
    p_.kv_pool = Bytes{0};
    p_.kv_pool_tokens = Tokens{0};
    p_.num_gpu_blocks = Blocks{0};
    p_.unused =
        Bytes{std::max<std::int64_t>(0, (p_.gpu - p_.weights - p_.activation_peak - p_.context - p_.other).count())};
    return p_;
  }

 private:
  // Fills the plan; false when the model does not fit.
  bool compute() {
    p_.gpu = hw_.memory;
    WeightOptions weights = in_.forward.weights;
    weights.tensor_parallel = in_.tensor_parallel;
    p_.weights = weight_bytes(m_, weights) + in_.draft_weights;
    if (in_.zero) {
      p_.gathered_weights = in_.zero->gathered;
      p_.weights = in_.zero->resident + in_.zero->gathered + in_.draft_weights;
    }
    p_.context = hw_.context_bytes;
    const std::int64_t whole = kv_bytes_per_token(m_, in_.forward.kv_dtype, in_.tensor_parallel).count();
    per_layer_ = whole / m_.num_layers;
    layers_ = m_.num_layers;
    p_.kv_per_token = BytesPerToken{per_layer_ * layers_ + in_.draft_kv_per_token};
    p_.activation_peak = activation_peak();
    switch (in_.rule) {
      case MemoryRule::kCacheFlow:
      case MemoryRule::kVllmV0:
      case MemoryRule::kVllmV1:
      case MemoryRule::kVllmV1GraphAware:
        plan_vllm();
        break;
      case MemoryRule::kHfGenerate:
      case MemoryRule::kFasterTransformer:
        plan_the_rest();
        break;
      case MemoryRule::kHfContinuous2025:
      case MemoryRule::kHfContinuous2026:
        plan_hf_continuous();
        break;
    }
    p_.unused = p_.gpu - p_.weights - p_.activation_peak - p_.context - p_.other - p_.kv_pool;
    return p_.kv_pool.count() > 0 && p_.unused.count() >= 0;
  }

  std::int64_t activation_bytes() const { return bytes_of(in_.forward.activation_dtype); }

  // Before it measured them, vLLM computed activations: twice the largest tensor and the residual, or the logits of all
  // tokens (cacheflow/model_executor/memory_analyzer.py 45d5530).
  Bytes cacheflow_activations() const {
    const std::int64_t tokens = in_.max_num_batched_tokens, mlp = (m_.gated_mlp ? 2 : 1) * m_.intermediate_size;
    const std::int64_t widest = std::max(3 * m_.hidden_size, mlp) / in_.tensor_parallel + m_.hidden_size;
    return Bytes{2 * tokens * std::max(widest, m_.vocab_size) * activation_bytes()};
  }

  Bytes activation_peak() {
    if (in_.rule == MemoryRule::kCacheFlow) return cacheflow_activations();
    ForwardOptions forward = in_.forward;
    forward.weights.tensor_parallel = in_.tensor_parallel;
    OperatorGraph::PassShape pass;
    const bool ahead = in_.rule == MemoryRule::kHfGenerate || in_.rule == MemoryRule::kFasterTransformer;
    pass.tokens = std::max<std::int64_t>(1, ahead ? in_.prefill_tokens : in_.max_num_batched_tokens);
    // vLLM's profile run spreads the tokens over as many dummy requests as it may have, and then runs the sampler on
    // max_num_seqs rows (SEMANTICS 2.2.2).
    pass.sequences = std::max<std::int64_t>(1, std::min(pass.tokens, in_.max_num_seqs));
    pass.logit_rows = ahead ? pass.sequences : in_.max_num_seqs;
    const auto peak = [&](OperatorGraph::Mode mode) {
      pass.mode = mode;
      const OperatorGraph graph(m_, forward, pass);
      const Bytes of_pass = in_.checkpointing.kind == Checkpointing::Kind::kNone
                                ? graph.activation_peak()
                                : graph.checkpointed(in_.checkpointing).activation_peak();
      return ahead || !in_.forward.weights.lm_head
                 ? of_pass
                 : std::max(of_pass, Bytes{pass.logit_rows * m_.vocab_size * sampler_bytes_per_logit()});
    };
    const Bytes inference = peak(OperatorGraph::Mode::kInference);
    if (!in_.autograd) return inference;
    const Bytes with_autograd = peak(OperatorGraph::Mode::kAutograd);
    p_.kept_by_autograd = with_autograd - inference;
    return with_autograd;
  }

  // Live at once for each logit while the dummy sampler runs. Up to early 2026 top-k and top-p sort in PyTorch: logits
  // and their fp32 copy, sorted values (4) and indices (8), the same again as the sort's second buffer, probabilities
  // (4), in V0 their running sum (4; V1 sums in place, v1/sample/ops/topk_topp_sampler.py), the result (4). Later
  // versions no longer sort: logits, fp32 copy, probabilities. Held to published block counts in validate/cases.
  std::int64_t sampler_bytes_per_logit() const {
    const std::int64_t logits = activation_bytes() + 4;
    if (in_.rule == MemoryRule::kVllmV0) return logits + 12 + 12 + 4 + 4 + 4;
    return in_.rule == MemoryRule::kVllmV1 ? logits + 12 + 12 + 4 + 4 : logits + 4;
  }

  void plan_vllm() {
    const auto requested =
        static_cast<std::int64_t>(std::ceil(static_cast<double>(p_.gpu.count()) * in_.gpu_memory_utilization));
    std::int64_t available = requested - p_.weights.count() - p_.activation_peak.count();
    // V0 took what the driver said was used, the context with it; V1's snapshot is taken after the context is there.
    if (in_.rule == MemoryRule::kVllmV0) available -= p_.context.count();
    if (in_.rule == MemoryRule::kVllmV1GraphAware) available -= in_.cuda_graph_bytes.count();
    p_.other = in_.cuda_graph_bytes;
    if (in_.rule == MemoryRule::kCacheFlow) {
      p_.other += Bytes{kGiB};  // its "workspace"
      available -= kGiB;
    }
    if (in_.kv_cache_memory) available = in_.kv_cache_memory->count();
    const std::int64_t page = in_.block_size * per_layer_;
    std::int64_t blocks = std::max<std::int64_t>(0, available) / page / layers_;
    if (in_.draft_kv_per_token > 0)
      blocks = std::max<std::int64_t>(0, available) / (in_.block_size * p_.kv_per_token.count());
    if (in_.num_gpu_blocks_override) blocks = in_.num_gpu_blocks_override->count();
    set_blocks(blocks);
  }

  void set_blocks(std::int64_t blocks) {
    const std::int64_t usable = std::max<std::int64_t>(0, blocks - (in_.null_block ? 1 : 0));
    p_.num_gpu_blocks = Blocks{usable};
    p_.kv_pool_tokens = Tokens{usable * in_.block_size};
    p_.kv_pool = Bytes{usable * in_.block_size * p_.kv_per_token.count()};
    if (in_.null_block && blocks > 0) p_.other += Bytes{in_.block_size * p_.kv_per_token.count()};
  }

  // Nothing is reserved ahead: whatever the card has left can become KV.
  void plan_the_rest() {
    const std::int64_t left = p_.gpu.count() - p_.weights.count() - p_.activation_peak.count() - p_.context.count();
    const std::int64_t tokens = std::max<std::int64_t>(0, left) / p_.kv_per_token.count();
    p_.kv_pool_tokens = Tokens{tokens};
    p_.kv_pool = Bytes{tokens * p_.kv_per_token.count()};
  }

  // SEMANTICS 1.6. 2025: M batch tokens are 1 % of N cache tokens, so memory is quadratic in N; then the caps. 2026: M
  // is fixed first, the rest is cache.
  void plan_hf_continuous() {
    const std::int64_t a = activation_bytes();
    const double taken = static_cast<double>(p_.weights.count() + p_.context.count() + p_.kept_by_autograd.count());
    const double avail = (static_cast<double>(p_.gpu.count()) - taken) * in_.gpu_memory_utilization;
    const auto kv = static_cast<double>(p_.kv_per_token.count());
    std::int64_t tokens = 0;
    if (in_.rule == MemoryRule::kHfContinuous2025) {
      const double mask = in_.forward.attention == AttentionKernel::kEager ? 1 : 0;
      const double per_batch_token = static_cast<double>(a * (m_.hidden_size + m_.vocab_size) + 28 + 4);
      const double quadratic = mask * static_cast<double>(a) * 0.01;
      const double linear = kv + 4 + 0.01 * per_batch_token;
      const double n = quadratic > 0 ? (-linear + std::sqrt(linear * linear + 4 * quadratic * std::max(avail, 0.0))) /
                                           (2 * quadratic)
                                     : std::max(avail, 0.0) / linear;
      tokens = std::min<std::int64_t>(static_cast<std::int64_t>(n), 4096 * in_.block_size);
      p_.activation_peak = Bytes{static_cast<std::int64_t>(
          per_batch_token * static_cast<double>(std::min(in_.max_num_batched_tokens, tokens / 100 + 1)))};
    } else {
      const std::int64_t q = m_.query_size(), k = m_.kv_size();
      const std::int64_t head = a * m_.hidden_size + 4 * m_.vocab_size;
      const std::int64_t attention = a * (m_.hidden_size + q + 2 * k);
      const std::int64_t batch = in_.max_num_batched_tokens * (std::max(head, attention) + 28 + 28 + 16 + 16);
      p_.activation_peak = Bytes{batch};
      const double beside = static_cast<double>(2 * k * a + 16);
      tokens = static_cast<std::int64_t>(std::max(0.0, avail - static_cast<double>(batch)) /
                                         (kv + beside / static_cast<double>(layers_)));
    }
    p_.activation_peak += p_.kept_by_autograd;
    std::int64_t blocks = tokens / in_.block_size;
    if (in_.num_gpu_blocks_override) blocks = in_.num_gpu_blocks_override->count();
    set_blocks(blocks);
  }

  // By how much it does not fit, and the smallest single change that would make it fit.
  void explain() {
    const std::int64_t least_kv = in_.block_size * p_.kv_per_token.count();
    const bool shares = in_.rule == MemoryRule::kCacheFlow || in_.rule == MemoryRule::kVllmV0 ||
                        in_.rule == MemoryRule::kVllmV1 || in_.rule == MemoryRule::kVllmV1GraphAware;
    const double util = shares ? in_.gpu_memory_utilization : 1;
    const auto budget = static_cast<std::int64_t>(util * static_cast<double>(p_.gpu.count()));
    std::int64_t need = p_.weights.count() + p_.activation_peak.count() + least_kv;
    if (!shares || in_.rule == MemoryRule::kVllmV0) need += p_.context.count();
    if (in_.rule == MemoryRule::kCacheFlow) need += kGiB;
    if (in_.rule == MemoryRule::kVllmV1GraphAware) need += in_.cuda_graph_bytes.count();
    std::string text = "the model does not fit: weights " + gib(p_.weights.count()) + ", activation peak " +
                       gib(p_.activation_peak.count()) + " and one block of KV exceed the " + gib(budget) +
                       " it may use of " + gib(p_.gpu.count()) + " by " +
                       gib(std::max<std::int64_t>(need - budget, 1)) + "; what would make it fit:";
    std::string ways;
    for (const std::int64_t tp : {2, 4, 8, 16, 32}) {
      if (in_.zero || tp <= in_.tensor_parallel || m_.num_heads % tp != 0) continue;
      MemoryPlanInput other = in_;
      other.tensor_parallel = tp;
      if (!fits(other)) continue;
      ways += " tensor_parallel_size: " + std::to_string(tp) + ";";
      break;
    }
    if (in_.autograd) {
      MemoryPlanInput other = in_;
      other.autograd = false;
      if (fits(other)) ways += " autograd: false;";
    }
    if (!in_.zero && in_.forward.weights.quantization == WeightQuantization::kNone) {
      MemoryPlanInput other = in_;
      other.forward.weights.quantization = WeightQuantization::kInt8;
      if (fits(other)) {
        ways += " quantization: {weights: int8};";
      } else {
        other.forward.weights.quantization = WeightQuantization::kAwq;
        if (fits(other)) ways += " quantization: {weights: awq};";
      }
    }
    ways += " a card with " + gib(static_cast<std::int64_t>(static_cast<double>(need) / util)) + " or more";
    p_.does_not_fit = text + ways;
  }

  bool fits(const MemoryPlanInput& other) const { return Planner(m_, hw_, other).compute(); }

  const ModelShape& m_;
  const HardwareProfile& hw_;
  const MemoryPlanInput& in_;
  MemoryPlan p_;
  std::int64_t per_layer_ = 0;  // KV bytes per token of one layer on this rank
  std::int64_t layers_ = 0;     // on this rank
};

}  // namespace

// Every stage has as many blocks as the one with the fewest (SEMANTICS 2.2.2); that one is shown.
MemoryPlan plan_memory(const ModelShape& model, const HardwareProfile& hardware, const MemoryPlanInput& input) {
  const std::int64_t stages = input.pipeline_parallel;
  std::optional<MemoryPlan> worst;
  for (std::int64_t i = 0; i < stages; ++i) {
    MemoryPlanInput in = input;
    in.forward.weights = stage_weights(in.forward.weights, stages, i);
    MemoryPlan plan = Planner(pipeline_stage(model, stages, i), hardware, in).plan();
    plan.stage = i;
    if (!worst || plan.kv_pool_tokens < worst->kv_pool_tokens) worst = std::move(plan);
  }
  return *worst;
}

}  // namespace headroom
