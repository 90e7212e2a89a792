// The forward graph. With training_graph.cpp the only door to Boost.Graph.
//
// A vertex is an operator, an edge leads from the operator that makes a tensor to one that reads it. Vertices are added
// in the order in which they run, which is a topological order (checked). A tensor is live from the operator that
// makes it to the last that reads it; an operator's workspace is live while it runs. The activation peak is the largest
// sum of what is live at once. Weights and the KV cache are not tensors of this graph.
#include "models/operator_graph.h"

#include <algorithm>
#include <boost/graph/graphviz.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "models/matrices.h"
#include "models/operator_vertices.h"

namespace headroom {
namespace {

constexpr std::int64_t kTopPBytes = 337;   // moved for each logit: a radix sort of values and indices, and ten passes
constexpr std::int64_t kTopPKernels = 24;  // as PyTorch launches them, the sort's eleven among them

class Builder {
 public:
  // Adds to `empty`: Boost's graphs know no move.
  Builder(const ModelShape& model, const ForwardOptions& options, const OperatorGraph::PassShape& pass, Graph& empty)
      : graph(empty),
        m_(model),
        o_(options),
        pass_(pass),
        tp_(options.weights.tensor_parallel),
        ep_(options.weights.expert_parallel),
        a_(bytes_of(options.activation_dtype)),
        t_(pass.tokens),
        h_(model.hidden_size),
        eager_(options.style != ExecutionStyle::kFused),
        stepwise_(options.style == ExecutionStyle::kEager),
        cached_(pass.mode != OperatorGraph::Mode::kTraining) {
    for (const Matrix& matrix : matrices_of(model, tp_, !eager_, ep_)) matrices_.push_back(matrix);
  }

  void build() {
    graph.m_vertices.reserve(static_cast<std::size_t>(m_.num_layers) * kMostOperators + 8);
    ops_.hidden_bytes_per_token = h_ * a_;
    Vertex hidden = add("embedding", {}, t_ * h_ * a_);
    drop_out(hidden);
    weigh(hidden, "embedding");
    if (m_.position_rows > 0) weigh(hidden, "positions");
    if (o_.weights.embedding) count(stepwise_ ? 2 : 1, 2 * h_ * a_);
    // The caller's frame keeps the embeddings, position tables and ids until it returns.
    const Vertex embeddings = hidden;
    const bool rotary = m_.position_rows == 0;
    const Vertex tables = add("positions", {}, eager_ ? t_ * (16 + (rotary ? 2 * rotary_dim() * a_ : 0)) : 0);
    graph[tables].differentiable = false;
    for (layer_ = 0; layer_ < m_.num_layers; ++layer_) hidden = add_layer(hidden, layer_);
    layer_ = -1;
    if (!o_.weights.lm_head) return check_order();  // an earlier pipeline stage: hidden states go on
    const Vertex norm = add_norm("final_norm", hidden, {});
    weigh(norm, "final_norm");
    count_norm();
    const Vertex head =
        add("lm_head", {norm}, pass_.logit_rows * vocabulary() * a_, pass_.logit_rows * vocabulary() * 4);
    hold(head, {embeddings, tables});
    head_product(head);
    needs(head, {norm});
    if (pass_.mode == OperatorGraph::Mode::kTraining) graph[head].saved_bytes = pass_.logit_rows * vocabulary() * 4;
    check_order();
  }

  Graph& graph;
  ForwardOps& ops() { return ops_; }

 private:
  static constexpr std::size_t kMostOperators = 17;  // of one layer

  Vertex add(const std::string& name, std::initializer_list<Vertex> inputs, std::int64_t output,
             std::int64_t workspace = 0) {
    Operator op;
    op.name = name;
    op.output_bytes = output;
    op.workspace_bytes = workspace;
    op.layer = layer_;
    const Vertex v = boost::add_vertex(op, graph);
    for (const Vertex input : inputs) boost::add_edge(input, v, TensorUse{}, graph);
    return v;
  }
  // While `v` runs the caller's frame still has these.
  void hold(Vertex v, std::initializer_list<Vertex> tensors) {
    for (const Vertex tensor : tensors) boost::add_edge(tensor, v, TensorUse{true}, graph);
  }
  // What the backward pass of `v` reads: tensors by their makers, and bytes that nobody else sees.
  void needs(Vertex v, std::initializer_list<Vertex> tensors, std::int64_t bytes = 0) {
    graph[v].backward_reads.insert(graph[v].backward_reads.end(), tensors);
    graph[v].saved_bytes += bytes;
  }
  // A mask of one byte an element.
  void drop_out(Vertex v) {
    if (pass_.dropout) needs(v, {}, t_ * h_);
  }
  // Backward needs a norm's input; Hugging Face's RMSNorm instead keeps its fp32 copy and the normalised tensor before
  // it is weighted. (Mean and deviation of each row are left out, as SEMANTICS 5.3 does.)
  Vertex add_norm(const std::string& name, Vertex input, std::initializer_list<Vertex> held) {
    const Vertex v = add(name, {input}, t_ * h_ * a_);
    hold(v, held);
    if (stepwise_ && !m_.norm_bias) {
      needs(v, {}, rms_norm_bytes() * t_ * h_);
      if (a_ == 4) needs(v, {input});
    } else {
      needs(v, {input});
    }
    return v;
  }
  std::int64_t rms_norm_bytes() const { return a_ == 4 ? a_ : 4 + a_; }

  const Matrix* matrix(std::string_view name) const {
    const auto it = std::find_if(matrices_.begin(), matrices_.end(), [&](const Matrix& m) { return m.name == name; });
    return it == matrices_.end() ? nullptr : &*it;
  }
  void weigh(Vertex v, std::string_view name) {
    if (const Matrix* m = matrix(name)) graph[v].parameters += m->rank_k * m->rank_n;
  }
  // Kernels launched and bytes moved per token by an operator that is no matrix product.
  void count(std::int64_t kernels, std::int64_t bytes_per_token) {
    ops_.kernels += kernels;
    ops_.elementwise_bytes_per_token += static_cast<double>(bytes_per_token);
  }
  // Norm with residual in one kernel; or RMSNorm in fp32 step by step (cast, square, mean, scale, cast, weight), or
  // PyTorch's own LayerNorm.
  void count_norm() {
    if (!stepwise_) return count(1, 4 * a_ * h_);
    if (m_.norm_bias) return count(1, 2 * a_ * h_);
    count(7, (4 * a_ + 24) * h_);
    ops_.strided_bytes_per_token += static_cast<double>(4 * h_);  // the mean reads along rows
  }

  std::int64_t rotary_dim() const { return m_.family == "gpt_neox" ? m_.head_dim / 4 : m_.head_dim; }
  std::int64_t vocabulary() const {
    if (const Matrix* head = matrix("lm_head")) return head->rank_n;
    const Matrix* embedding = matrix("embedding");
    return embedding != nullptr ? embedding->rank_k : m_.vocab_size;
  }
  std::int64_t query() const {
    return m_.latent_attention ? m_.num_heads / tp_ * m_.latent_attention->v_head_dim : m_.query_size() / tp_;
  }
  std::int64_t kv() const {
    return m_.latent_attention ? m_.latent_attention->kv_lora_rank + m_.latent_attention->qk_rope_head_dim
                               : std::max<std::int64_t>(m_.num_kv_heads / tp_, 1) * m_.head_dim;
  }

  // A product with a weight matrix, if the model has one of this name.
  void product(Vertex v, std::string_view name) {
    const Matrix* m = matrix(name);
    if (m == nullptr) return;
    const bool expert = m->role == MatrixRole::kExpert;
    const std::int64_t experts = expert ? m_.experts->num_experts : 1;
    const std::int64_t used = expert ? m_.experts->experts_per_token : 1;
    const double rows = static_cast<double>(t_ * used) * (expert ? ranks_share() : 1);
    graph[v].flops += 2.0 * rows * static_cast<double>(m->rank_k * m->rank_n);
    graph[v].parameters += m->rank_k * m->rank_n * (expert ? experts / ep_ : 1);
    fold(GemmOp{std::string(name), m->rank_k, m->rank_n, 1,
                m->quantizable
                    ? quantized_bytes(o_.weights.quantization, m->k, m->n, o_.weights.group_size, o_.weights.dtype)
                    : bytes_of(o_.weights.dtype),
                false, experts, used, m->quantizable ? o_.quantized_activations : std::nullopt, expert ? ep_ : 1,
                expert ? o_.expert_batches : 1});
    ops_.kernels += expert ? 2 : 1;
  }
  // Of the rows that the experts get from one batch, those that a rank computes, of its own batch or another's.
  double ranks_share() const { return static_cast<double>(o_.expert_batches) / static_cast<double>(ep_); }
  // Room for them: without an all-to-all nobody counts them beforehand, and vLLM's buffers have room for all.
  std::int64_t expert_rows(std::int64_t rows) const {
    return ep_ > 1 && o_.expert_batches > 1 ? ceil_div(rows * o_.expert_batches, ep_) : rows;
  }
  void head_product(Vertex v) {
    const std::int64_t n = vocabulary();
    graph[v].flops += 2.0 * static_cast<double>(pass_.logit_rows * h_ * n);
    weigh(v, "lm_head");
    fold(GemmOp{"lm_head", h_, n, 1, static_cast<double>(bytes_of(o_.weights.dtype)), true, 1, 1, {}});
    // Logits to fp32, then the largest of them (SEMANTICS 1.1, 9.3).
    ops_.elementwise_bytes_per_row = static_cast<double>(n * (a_ + 4 + 4));
    ops_.kernels += stepwise_ ? 6 : 3;
    if (!o_.top_p) return;
    // Every rank has all logits by now (vLLM gathers them to all). Those of a row are sorted, summed up along the row,
    // masked, put back, and one is drawn: what vLLM's and Hugging Face's samplers run in PyTorch. Measured on an H100
    // (validate/data/h100_sampling.csv): three numbers for 2 to 256 rows of 32,000 to 152,000 logits, 3.5 % in the
    // median, 15 % at worst.
    ops_.elementwise_bytes_per_row += static_cast<double>(m_.vocab_size * kTopPBytes);
    ops_.top_p_kernels = kTopPKernels;
    ops_.scanned_logits = m_.vocab_size;
  }
  void fold(const GemmOp& gemm) {
    for (GemmOp& known : ops_.gemms)
      if (known.name == gemm.name) {
        ++known.count;
        return;
      }
    ops_.gemms.push_back(gemm);
  }

  Vertex attend(Vertex normed, Vertex layer_input, std::int64_t layer) {
    const std::int64_t q = query(), k = kv();
    Vertex qkv;
    std::optional<Vertex> key, value;
    if (eager_ && !m_.latent_attention) {
      qkv = add("q", {normed}, t_ * q * a_);
      product(qkv, "q");
      key = add("k", {normed}, t_ * k * a_);
      product(*key, "k");
      value = add("v", {normed}, t_ * k * a_);
      product(*value, "v");
      for (const Vertex v : {*key, *value}) needs(v, {normed});
      if (cached_) hold(add("cache", {*key, *value}, 0), {qkv});
    } else {
      qkv = add("qkv", {normed}, t_ * (q + 2 * k) * a_);
      for (const std::string_view name : {"qkv", "q", "q_down", "q_up", "kv_down", "kv_up"}) product(qkv, name);
      for (const std::string_view name : {"q_norm", "kv_norm"}) weigh(qkv, name);
    }
    needs(qkv, {normed}, m_.qk_norm ? t_ * (q + k) * (stepwise_ ? rms_norm_bytes() : a_) : 0);
    weigh(qkv, "qkv_bias");
    weigh(qkv, "qk_norm");
    if (m_.qk_norm) count(stepwise_ ? 14 : 1, (stepwise_ ? 4 * a_ + 28 : 2 * a_) * (q + k));
    if (m_.position_rows == 0) count(stepwise_ ? 10 : 1, (stepwise_ ? 7 : 2) * a_ * (q + k));
    // Rotated halves put together, and the prompt's K and V into the cache (a decode step's is counted apart).
    if (stepwise_)
      ops_.strided_bytes_per_token += static_cast<double>((m_.position_rows == 0 ? 2 * a_ * (q + k) : 0) + 4 * a_ * k);
    if (!stepwise_) count(1, 2 * a_ * k + 2 * k * bytes_of(o_.kv_dtype));
    const Vertex out = add("attention", {qkv}, t_ * q * a_, attention_workspace());
    hold(out, {normed, layer_input});
    graph[out].attention = true;
    // K and V come from the cache, which is no tensor of this graph; in training there is none.
    needs(out, {qkv}, attention_saved());
    if (key && !cached_) {
      for (const Vertex v : {*key, *value}) boost::add_edge(v, out, TensorUse{}, graph);
      if (!repeats_heads()) needs(out, {*key, *value});
    }
    if (!keeps_probabilities()) needs(out, {out});
    const double keys = static_cast<double>(pass_.past) + static_cast<double>(per_sequence() + 1) / 2;
    AttentionOp op = attention_op(layer);
    graph[out].flops += op.flops_per_query_key * static_cast<double>(t_) * keys;
    fold(op);
    ops_.kernels += stepwise_ && o_.attention == AttentionKernel::kEager ? 6 : 1;
    const Vertex projected = add("attention_out", {out}, t_ * h_ * a_);
    product(projected, "attention_out");
    weigh(projected, "attention_out_bias");
    needs(projected, {out});
    drop_out(projected);
    ++ops_.all_reduces;
    return projected;
  }

  std::int64_t per_sequence() const { return t_ / std::max<std::int64_t>(1, pass_.sequences); }

  // Eager attention holds the scores in the activation dtype and their softmax in fp32, before and after; with grouped
  // heads K and V are repeated to all heads, and a mask in the activation dtype is there. Flash holds row statistics.
  // fp32 has no flash kernel in PyTorch: its math path scales copies of Q and K, repeats grouped K and V to all heads,
  // and holds two copies of the scores (within 0.1 % of a measured peak, tests/unit/models).
  std::int64_t attention_workspace() const {
    const std::int64_t heads = m_.num_heads / tp_;
    const std::int64_t keys = per_sequence() + pass_.past;
    const std::int64_t scores = t_ * heads * keys;
    const std::int64_t repeated =
        m_.num_kv_heads < m_.num_heads ? 2 * (t_ + pass_.past * pass_.sequences) * query() * a_ : 0;
    if (o_.attention == AttentionKernel::kEager) return scores * (a_ + 8) + t_ * keys * a_ + repeated;
    if (eager_ && a_ == 4) return (2 * scores + 2 * t_ * query()) * a_ + repeated;
    return t_ * heads * 4;
  }

  bool keeps_probabilities() const {
    return o_.attention == AttentionKernel::kEager || (eager_ && o_.activation_dtype == DType::kFloat32);
  }
  bool repeats_heads() const { return keeps_probabilities() && m_.num_kv_heads < m_.num_heads; }

  // Kept for attention's backward beside q, k, v. With the probabilities in memory: the softmax, its copy in the
  // activation dtype where Hugging Face took it in fp32, and under dropout a mask and what is left (5 a s / h of
  // SEMANTICS 5.3 in fp16); grouped K and V repeated to all heads. Flash: a row statistic.
  std::int64_t attention_saved() const {
    const std::int64_t heads = m_.num_heads / tp_;
    if (!keeps_probabilities()) return t_ * heads * 4;
    const std::int64_t keys = per_sequence() + pass_.past;
    const std::int64_t softmax = eager_ && a_ < 4 ? 4 + a_ : a_;
    const std::int64_t repeated = repeats_heads() ? 2 * (t_ + pass_.past * pass_.sequences) * query() * a_ : 0;
    return t_ * heads * keys * (softmax + (pass_.dropout ? 1 + a_ : 0)) + repeated;
  }

  AttentionOp attention_op(std::int64_t layer) const {
    AttentionOp op;
    op.layers = 1;
    const AttentionHeads heads = attention_heads(m_, tp_);
    op.q_heads = heads.q_heads;
    op.kv_heads = heads.kv_heads;
    op.head_dim = heads.head_dim;
    // Which layers use the window does not matter for cost, only how many do.
    if (m_.sliding_window && layer < m_.sliding_window->num_layers) op.window = m_.sliding_window->tokens;
    const double c = bytes_of(o_.kv_dtype);
    if (m_.latent_attention) {
      const LatentAttention& l = *m_.latent_attention;
      op.kv_bytes_per_token_layer = static_cast<double>(op.head_dim) * c;
      op.flops_per_query_key = 2.0 * static_cast<double>(op.q_heads * (2 * l.kv_lora_rank + l.qk_rope_head_dim));
    } else {
      op.kv_bytes_per_token_layer = 2.0 * static_cast<double>(op.kv_heads * op.head_dim) * c;
      op.flops_per_query_key = 4.0 * static_cast<double>(op.q_heads * op.head_dim);
    }
    return op;
  }
  void fold(const AttentionOp& op) {
    for (AttentionOp& known : ops_.attention)
      if (known.window == op.window) {
        ++known.layers;
        return;
      }
    ops_.attention.push_back(op);
  }

  Vertex feed_forward(Vertex normed, Vertex residual, Vertex layer_input, bool experts) {
    const std::int64_t f = experts ? m_.experts->intermediate_size : m_.intermediate_size;
    const std::int64_t rows = experts ? t_ * m_.experts->experts_per_token : t_;
    const bool whole = experts ? ep_ > 1 : f % tp_ != 0;
    const std::int64_t width = (experts ? expert_rows(rows) : rows) * f / (whole ? 1 : tp_) * a_;
    const std::string_view up_name = experts ? "expert_gate_up" : "mlp_gate_up";
    std::optional<Vertex> router;
    if (experts) {
      router = add("router", {normed}, t_ * m_.experts->num_experts * 4 + 8 * rows);
      needs(*router, {normed, *router});
      product(*router, "router");
      weigh(*router, "router_bias");
      count(3, 8 * m_.experts->num_experts);
      if (o_.expert_batches > 1) {
        ops_.all_to_alls += 2;
        ops_.routed_bytes_per_token =
            static_cast<double>(m_.experts->experts_per_token * h_ * a_) / static_cast<double>(tp_);
      }
    }
    Vertex inner;
    if (!m_.gated_mlp) {
      const Vertex up = add("mlp_up", {normed}, width);
      product(up, "mlp_up");
      weigh(up, "mlp_bias");
      needs(up, {normed});
      inner = add("activation", {up}, width);
      hold(inner, {normed, residual, layer_input});
      needs(inner, {m_.family == "opt" ? inner : up});  // ReLU knows its slope from its output, GELU from its input
      count(1, 2 * f * a_);
    } else if (eager_ && !experts) {
      const Vertex gate = add("mlp_gate", {normed}, width);
      product(gate, "mlp_gate");
      needs(gate, {normed});
      const Vertex activated = add("activation", {gate}, width);
      hold(activated, {residual, layer_input});
      needs(activated, {gate});
      const Vertex up = add("mlp_up", {normed}, width);
      product(up, "mlp_up");
      needs(up, {normed});
      inner = add("product", {activated, up}, width);
      hold(inner, {normed, residual, layer_input});
      needs(inner, {activated, up});
      stepwise_ ? count(2, 5 * f * a_) : count(1, 3 * f * a_);
    } else {
      const Vertex up = add(std::string(up_name), {normed}, 2 * width);
      hold(up, {residual});
      product(up, up_name);
      if (experts) product(up, "shared_gate_up");
      needs(up, {normed}, experts ? rows * h_ * a_ : 0);  // experts read their tokens gathered
      inner = add("activation", {up}, width);
      needs(inner, {up});
      count(1, 3 * f * a_ * rows / std::max<std::int64_t>(t_, 1));
    }
    const Vertex down = add("mlp_down", {inner}, (experts ? expert_rows(rows) : t_) * h_ * a_);
    hold(down, {normed, residual, layer_input});
    needs(down, {inner});
    if (router) {  // each expert's rows are weighted by its probability
      boost::add_edge(*router, down, TensorUse{}, graph);
      needs(down, {down});
    }
    drop_out(down);
    product(down, experts ? "expert_down" : "mlp_down");
    if (experts) product(down, "shared_down");
    ++ops_.all_reduces;
    return down;
  }

  Vertex add_layer(Vertex input, std::int64_t layer) {
    const Vertex first = add_norm("norm", input, {});
    weigh(first, "norms");
    count_norm();
    Vertex attended = attend(first, input, layer);
    if (m_.norms_per_layer == 4) attended = add_norm("norm", attended, {input});
    // Fused engines add into the residual stream in place, unless a norm's backward will read what was there; eager
    // PyTorch makes a new tensor and the caller's frame keeps the old one to the end of the layer.
    const bool in_place = !eager_ && pass_.mode == OperatorGraph::Mode::kInference;
    const Vertex residual = add("residual", {input, attended}, in_place ? 0 : t_ * h_ * a_);
    if (stepwise_) count(1, 3 * a_ * h_);
    for (std::int64_t extra = 1; extra < m_.norms_per_layer; ++extra) count_norm();
    // GPT-NeoX and Falcon run the MLP beside attention, on the layer's input; Falcon-7B behind the same norm.
    const bool parallel = m_.family == "gpt_neox" || m_.family == "falcon";
    const Vertex second =
        m_.norms_per_layer == 1 ? first : add_norm("norm", parallel ? input : residual, {residual, input});
    const bool experts = m_.experts && layer >= m_.experts->num_dense_layers;
    Vertex down = feed_forward(second, residual, input, experts);
    if (m_.norms_per_layer == 4) down = add_norm("norm", down, {residual, input});
    if (stepwise_) count(1, 3 * a_ * h_);
    const Vertex out = add("residual", {residual, down}, t_ * h_ * a_);
    hold(out, {input});
    return out;
  }

  // Vertices stand in an order in which they can be computed; so there is no cycle either.
  void check_order() const {
    const auto [begin, end] = boost::edges(graph);
    for (auto edge = begin; edge != end; ++edge)
      if (boost::source(*edge, graph) >= boost::target(*edge, graph))
        throw std::logic_error("operator graph: an operator reads what is made after it");
  }

  const ModelShape& m_;
  const ForwardOptions& o_;
  OperatorGraph::PassShape pass_;
  std::int64_t tp_, ep_, a_, t_, h_;
  bool eager_;     // tensors and matrices as Hugging Face's modules have them
  bool stepwise_;  // each of its operators is a kernel of its own
  bool cached_;    // K and V are in a KV cache
  std::int64_t layer_ = -1;
  std::vector<Matrix> matrices_;
  ForwardOps ops_;
};

}  // namespace

OperatorGraph::OperatorGraph(const ModelShape& model, const ForwardOptions& options, const PassShape& pass)
    : impl_(std::make_unique<Impl>()) {
  Builder builder(model, options, pass, impl_->graph);
  builder.build();
  if (pass.mode != Mode::kInference)
    impl_->graph = with_mode(impl_->graph, pass.mode, bytes_of(options.activation_dtype));
  impl_->ops = std::move(builder.ops());
}
OperatorGraph::OperatorGraph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OperatorGraph::~OperatorGraph() = default;
OperatorGraph::OperatorGraph(OperatorGraph&&) noexcept = default;

const ForwardOps& OperatorGraph::ops() const {
  return impl_->ops;
}

Flops OperatorGraph::flops() const {
  double sum = 0;
  for (const Vertex v : boost::make_iterator_range(boost::vertices(impl_->graph))) sum += impl_->graph[v].flops;
  return Flops{sum};
}

std::int64_t OperatorGraph::parameters() const {
  std::int64_t sum = 0;
  for (const Vertex v : boost::make_iterator_range(boost::vertices(impl_->graph))) sum += impl_->graph[v].parameters;
  return sum;
}

std::int64_t OperatorGraph::num_operators() const {
  return static_cast<std::int64_t>(boost::num_vertices(impl_->graph));
}

std::string OperatorGraph::to_dot() const {
  std::ostringstream out;
  const Graph& g = impl_->graph;
  boost::write_graphviz(out, g, [&](std::ostream& o, Vertex v) {
    o << "[label=\"" << g[v].name << "\\n" << g[v].output_bytes << " B\"]";
  });
  return out.str();
}

AttentionHeads attention_heads(const ModelShape& model, std::int64_t tensor_parallel) {
  const std::int64_t q_heads = model.num_heads / tensor_parallel;
  if (const auto& latent = model.latent_attention) return {q_heads, 1, latent->kv_lora_rank + latent->qk_rope_head_dim};
  return {q_heads, std::max<std::int64_t>(model.num_kv_heads / tensor_parallel, 1), model.head_dim};
}

ForwardOps forward_ops(const ModelShape& model, const ForwardOptions& options) {
  return OperatorGraph(model, options, {}).ops();
}

}  // namespace headroom
