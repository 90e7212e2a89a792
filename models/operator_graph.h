// One forward pass as a graph of operators, and what is read off it: FLOPs, bytes, parameters, activation peak.
//
// Vertices are operators, edges are tensors with bytes and lifetimes. Boost.Graph lives in operator_graph.cpp and
// training_graph.cpp only.
// The step-time model does not walk the graph at run time: forward_ops() folds it once into counts per operator.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/model_shape.h"
#include "models/units.h"

namespace headroom {

enum class AttentionKernel { kFlash, kEager };
// Fused: a serving engine's kernels (q, k, v in one product, norm with residual, activation with product). Eager: what
// PyTorch runs for Hugging Face's modules, with the tensors that its Python frames keep alive. Compiled: torch.compile
// over the same modules: products stay apart, what lies between them is fused, a decode step is one CUDA graph, and
// prefills run as eager (SEMANTICS 1.3).
enum class ExecutionStyle { kFused, kEager, kCompiled };

// A matrix product y[T,n] = x[T,k] w[k,n], `count` times in one forward pass on one rank.
struct GemmOp {
  std::string name;  // "qkv", "mlp_up", "lm_head", ...
  std::int64_t k = 0;
  std::int64_t n = 0;
  std::int64_t count = 0;
  double weight_bytes_per_element = 2.0;  // storage, scales included
  bool per_sampled_row = false;           // LM head: T is the number of rows sampled, not of tokens
  std::int64_t num_experts = 1;           // weight matrices of this shape in each of the `count` layers
  std::int64_t experts_per_token = 1;     // of them, those one token goes through
  // The rows are quantized to this type and multiplied in it (W8A8). None: multiplied in the activation dtype, to which
  // narrower weights are brought inside the kernel (weight-only quantization).
  std::optional<DType> quantized_to = std::nullopt;
  std::int64_t expert_ranks = 1;    // that hold the experts, whole ones (models/expert_load.h)
  std::int64_t expert_batches = 1;  // of data-parallel ranks, that meet at them
};

// Attention over the KV cache; layers of one kind.
struct AttentionOp {
  std::int64_t layers = 0;
  std::int64_t q_heads = 0;   // on this rank
  std::int64_t kv_heads = 0;  // on this rank
  std::int64_t head_dim = 0;
  std::int64_t window = 0;              // 0: attends to everything
  double kv_bytes_per_token_layer = 0;  // bytes of K and V of one token in one layer on this rank
  double flops_per_query_key = 0;       // per query token and attended token, all heads: 4 H d, MLA 2 H (2r+rope)
};

// Heads of one layer's attention on one rank: what a measured kernel is looked up by.
struct AttentionHeads {
  std::int64_t q_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  auto operator<=>(const AttentionHeads&) const = default;
};
AttentionHeads attention_heads(const ModelShape& model, std::int64_t tensor_parallel);

// The forward pass of one rank, folded.
struct ForwardOps {
  std::vector<GemmOp> gemms;
  std::vector<AttentionOp> attention;
  double elementwise_bytes_per_token = 0;   // norms, rope, activation, residual, KV write: all layers
  double strided_bytes_per_token = 0;       // of eager PyTorch's concatenations of transposed views and row reductions
  double elementwise_bytes_per_row = 0;     // per sampled row: fp32 logits copy, and what picks the token
  std::int64_t top_p_kernels = 0;           // launched behind the graph, beside those of the argmax
  std::int64_t scanned_logits = 0;          // that a running sum passes one after the other, whatever the rows
  std::int64_t kernels = 0;                 // launched in one forward pass of this style
  std::int64_t all_reduces = 0;             // per step under tensor parallelism: 2 L
  std::int64_t hidden_bytes_per_token = 0;  // T h a: the size of one such message per token
  std::int64_t all_to_alls = 0;             // per step under expert parallelism over replicas: 2 for each MoE layer
  double routed_bytes_per_token = 0;        // k h a / TP: what a rank sends in one of them, to itself too
};

struct ForwardOptions {
  WeightOptions weights;
  DType activation_dtype = DType::kFloat16;
  std::optional<DType> quantized_activations;  // of products with quantized weights: int8, fp8
  DType kv_dtype = DType::kFloat16;
  AttentionKernel attention = AttentionKernel::kFlash;
  ExecutionStyle style = ExecutionStyle::kFused;
  // Hugging Face's SDPA under a mask (static cache): grouped K and V are copied out to every query head first, and the
  // memory-efficient kernel does not split a row's keys (transformers integrations/sdpa_attention.py, use_gqa_in_sdpa).
  bool masked_attention = false;
  // Decode attention of 2023's first kernel over pages: 20 to 26 % slower than one over contiguous keys, for looking up
  // blocks and for branches (PagedAttention, SOSP 2023, 7.1).
  bool first_paged_kernel = false;
  bool top_p = false;  // tokens are drawn from the most probable p of their distribution, in PyTorch; else the largest
  // Data-parallel ranks whose batches meet at the experts (weights.expert_parallel). 1: hidden states are on every rank
  // already, each computes its experts' part, and the all-reduce behind the MLP adds up (vLLM without data
  // parallelism). More: each tensor-parallel rank of a replica sends its 1/TP of the replica's tokens to the ranks of
  // their k experts, and gets the results back.
  std::int64_t expert_batches = 1;
};

// Gradient checkpointing: tensors that a region of the graph makes are not kept for the backward pass; the region runs
// again just before it is needed, from what it reads. Full: each layer is a region; every k layers: k of them are;
// selective: the attention core of each layer is (SEMANTICS 5.3).
struct Checkpointing {
  enum class Kind { kNone, kSelective, kLayers };
  Kind kind = Kind::kNone;
  std::int64_t layers = 1;  // kLayers: in one region
};

class OperatorGraph {
 public:
  // kInference: the forward pass. kAutograd: the forward pass of somebody who forgot torch.inference_mode: its result
  // holds on to whatever a backward pass would read. kTraining: forward without a KV cache, backward, optimizer.
  enum class Mode { kInference, kAutograd, kTraining };

  // Builds the graph of `model` for a pass over `tokens` new tokens of `sequences` sequences that already hold `past`
  // tokens each, with logits for `logit_rows` rows. `dropout`: after attention's softmax, its output and the MLP, as
  // GPT-2 and OPT are trained.
  struct PassShape {
    std::int64_t tokens = 1;
    std::int64_t sequences = 1;
    std::int64_t past = 0;
    std::int64_t logit_rows = 1;
    Mode mode = Mode::kInference;
    bool dropout = false;
  };
  OperatorGraph(const ModelShape& model, const ForwardOptions& options, const PassShape& pass);
  ~OperatorGraph();
  OperatorGraph(OperatorGraph&&) noexcept;

  // The same computation with regions run again instead of kept. Without an edge into a backward pass there is nothing
  // to run again for, and the graph comes back as it was.
  OperatorGraph checkpointed(const Checkpointing& checkpointing) const;

  const ForwardOps& ops() const;     // folded into counts per operator
  Flops flops() const;               // of the whole graph on this rank; a backward pass counts two for each forward one
  std::int64_t parameters() const;   // equals count_parameters().total() on one rank
  Bytes activation_peak() const;     // by liveness over the topological order; weights, their gradients and KV excluded
  Bytes saved_for_backward() const;  // tensors of the forward pass that are read after it
  Bytes weight_gradient_peak() const;  // by liveness: until the optimizer has read them
  std::int64_t num_operators() const;
  std::string to_dot() const;  // Graphviz, for people

  struct Impl;

 private:
  explicit OperatorGraph(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Folds the graph into operator counts that hold for any T (SEMANTICS 9).
ForwardOps forward_ops(const ModelShape& model, const ForwardOptions& options);

}  // namespace headroom
