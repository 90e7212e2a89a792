// The shape of a decoder-only transformer: all that memory and time depend on, and nothing else.
//
// Names follow Hugging Face's config.json. Symbols of SEMANTICS 0.3 in brackets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/dtype.h"
#include "models/units.h"

namespace headroom {

// Sliding-window attention on some or all layers.
struct SlidingWindow {
  std::int64_t tokens = 0;      // W: a token sees itself and the W-1 before it
  std::int64_t num_layers = 0;  // how many layers use the window; the others attend to everything
};

// Mixture of experts in place of the MLP.
struct Experts {
  std::int64_t num_experts = 0;
  std::int64_t experts_per_token = 0;  // top-k
  std::int64_t intermediate_size = 0;  // f of one expert
  std::int64_t num_shared = 0;         // experts every token goes through
  std::int64_t num_dense_layers = 0;   // first layers that keep a plain MLP (DeepSeek)
  bool routing_bias = false;           // DeepSeek-V3 keeps one bias per expert
};

// Multi-head latent attention (DeepSeek).
struct LatentAttention {
  std::optional<std::int64_t> q_lora_rank;  // none: a plain query projection
  std::int64_t kv_lora_rank = 0;            // r
  std::int64_t qk_nope_head_dim = 0;
  std::int64_t qk_rope_head_dim = 0;
  std::int64_t v_head_dim = 0;
};

struct ModelShape {
  std::string name;
  std::string family;                        // llama, opt, gpt2, ... : the config's model_type
  std::int64_t num_layers = 0;               // L
  std::int64_t hidden_size = 0;              // h
  std::int64_t num_heads = 0;                // H
  std::int64_t num_kv_heads = 0;             // Hkv
  std::int64_t head_dim = 0;                 // d
  std::int64_t intermediate_size = 0;        // f
  std::int64_t vocab_size = 0;               // V
  std::int64_t max_position_embeddings = 0;  // longest sequence the model was made for
  bool gated_mlp = true;                     // three matrices instead of two
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  bool out_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;    // RMSNorm of size d on queries and keys of each layer
  bool norm_bias = false;  // LayerNorm with bias instead of RMSNorm
  std::int64_t norms_per_layer = 2;
  std::int64_t position_rows = 0;  // learned position embeddings, rows of size h; 0 for rotary
  std::optional<SlidingWindow> sliding_window;
  std::optional<Experts> experts;
  std::optional<LatentAttention> latent_attention;
  DType dtype = DType::kBfloat16;  // dtype the checkpoint is published in

  std::int64_t query_size() const { return num_heads * head_dim; }
  std::int64_t kv_size() const { return num_kv_heads * head_dim; }
};

// Parameters by where they are; total() reproduces the published count to the unit (SEMANTICS 6.1).
struct ParameterCount {
  std::int64_t embedding = 0;  // tokens and learned positions
  std::int64_t lm_head = 0;    // 0 when tied
  std::int64_t attention = 0;  // projections of all layers, biases and q/k norms included
  std::int64_t mlp = 0;        // dense MLPs of all layers, biases included
  std::int64_t experts = 0;    // routed and shared experts of all layers
  std::int64_t routers = 0;
  std::int64_t norms = 0;  // of all layers and the final one
  std::int64_t total() const { return embedding + lm_head + attention + mlp + experts + routers + norms; }
};
ParameterCount count_parameters(const ModelShape& model);
// Parameters that take part in one token's forward pass: routed experts counted top-k times only.
std::int64_t count_active_parameters(const ModelShape& model);

// KV bytes one token takes in all layers together on one tensor-parallel rank, windows ignored (SEMANTICS 6.3).
// MLA: the latent is replicated on every rank. GQA: at least one KV head per rank.
BytesPerToken kv_bytes_per_token(const ModelShape& model, DType kv_dtype, std::int64_t tensor_parallel = 1);

// KV bytes of one sequence of `context` tokens, sliding windows respected: a windowed layer keeps min(context, W).
Bytes kv_bytes(const ModelShape& model, Tokens context, DType kv_dtype, std::int64_t tensor_parallel = 1);

// Bytes of the weights on one rank, by dtype, quantization (SEMANTICS 7.1) and sharding (6.1, "Bytes").
struct WeightOptions {
  DType dtype = DType::kFloat16;
  WeightQuantization quantization = WeightQuantization::kNone;
  std::int64_t group_size = 128;  // of group-wise int4 formats
  std::int64_t tensor_parallel = 1;
  std::int64_t expert_parallel = 1;  // ranks that share routed experts, whole ones; 1: these are sharded as an MLP is
  bool embedding = true;             // of a pipeline stage: only the first has it (a tied LM head brings it along),
  bool lm_head = true;               // only the last has the LM head and the final norm
};
Bytes weight_bytes(const ModelShape& model, const WeightOptions& options);

}  // namespace headroom
