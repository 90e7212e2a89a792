// The only door to Boost.Graph.
//
// A vertex is an operator, an edge leads from the operator that makes a tensor to one that reads it. Vertices are added
// in the order in which they run, which is a topological order (checked). A tensor is live from the operator that
// makes it to the last that reads it; an operator's workspace is live while it runs. The activation peak is the largest
// sum of what is live at once. Weights and the KV cache are not tensors of this graph.
#include "models/operator_graph.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/graphviz.hpp>
#include <boost/graph/topological_sort.hpp>
#include <sstream>
#include <stdexcept>

#include "models/matrices.h"

namespace headroom {
namespace {

struct Operator {
  std::string name;
  double flops = 0;
  std::int64_t parameters = 0;
  std::int64_t output_bytes = 0;
  std::int64_t workspace_bytes = 0;
};

using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Operator>;
using Vertex = Graph::vertex_descriptor;

class Builder {
 public:
  Builder(const ModelShape& model, const ForwardOptions& options, const OperatorGraph::PassShape& pass)
      : m_(model),
        o_(options),
        pass_(pass),
        tp_(options.weights.tensor_parallel),
        a_(bytes_of(options.activation_dtype)),
        t_(pass.tokens),
        h_(model.hidden_size),
        eager_(options.style != ExecutionStyle::kFused),
        stepwise_(options.style == ExecutionStyle::kEager) {
    for (const Matrix& matrix : matrices_of(model, tp_, !eager_)) matrices_.push_back(matrix);
  }

  void build() {
    ops_.hidden_bytes_per_token = h_ * a_;
    Vertex hidden = add("embedding", {}, t_ * h_ * a_);
    weigh(hidden, "embedding");
    if (m_.position_rows > 0) weigh(hidden, "positions");
    count(stepwise_ ? 2 : 1, 2 * h_ * a_);
    // The caller's frame keeps the embeddings, position tables and ids until it returns.
    const Vertex embeddings = hidden;
    const bool rotary = m_.position_rows == 0;
    const Vertex tables = add("positions", {}, eager_ ? t_ * (16 + (rotary ? 2 * rotary_dim() * a_ : 0)) : 0);
    for (std::int64_t layer = 0; layer < m_.num_layers; ++layer) hidden = add_layer(hidden, layer);
    const Vertex norm = add("final_norm", {hidden}, t_ * h_ * a_);
    weigh(norm, "final_norm");
    count_norm();
    const Vertex head = add("lm_head", {norm, embeddings, tables}, pass_.logit_rows * vocabulary() * a_,
                            pass_.logit_rows * vocabulary() * 4);
    head_product(head);
    check_order();
  }

  Graph graph;
  ForwardOps& ops() { return ops_; }

 private:
  Vertex add(const std::string& name, std::initializer_list<Vertex> inputs, std::int64_t output,
             std::int64_t workspace = 0) {
    const Vertex v = boost::add_vertex(Operator{name, 0, 0, output, workspace}, graph);
    for (const Vertex input : inputs) boost::add_edge(input, v, graph);
    return v;
  }

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
    const Matrix* head = matrix("lm_head");
    return head != nullptr ? head->rank_n : matrix("embedding")->rank_k;
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
    graph[v].flops += 2.0 * static_cast<double>(t_ * m->rank_k * m->rank_n * used);
    graph[v].parameters += m->rank_k * m->rank_n * experts;
    fold(GemmOp{std::string(name), m->rank_k, m->rank_n, 1,
                m->quantizable
                    ? quantized_bytes(o_.weights.quantization, m->k, m->n, o_.weights.group_size, o_.weights.dtype)
                    : bytes_of(o_.weights.dtype),
                false, experts, used, m->quantizable ? o_.quantized_activations : std::nullopt});
    ops_.kernels += expert ? 2 : 1;
  }
  void head_product(Vertex v) {
    const std::int64_t n = vocabulary();
    graph[v].flops += 2.0 * static_cast<double>(pass_.logit_rows * h_ * n);
    weigh(v, "lm_head");
    fold(GemmOp{"lm_head", h_, n, 1, static_cast<double>(bytes_of(o_.weights.dtype)), true, 1, 1, {}});
    // Logits to fp32, then the largest of them (SEMANTICS 1.1, 9.3).
    ops_.elementwise_bytes_per_row = static_cast<double>(n * (a_ + 4 + 4));
    ops_.kernels += stepwise_ ? 6 : 3;
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
    if (eager_ && !m_.latent_attention) {
      qkv = add("q", {normed}, t_ * q * a_);
      product(qkv, "q");
      const Vertex key = add("k", {normed}, t_ * k * a_);
      product(key, "k");
      const Vertex value = add("v", {normed}, t_ * k * a_);
      product(value, "v");
      boost::add_edge(key, add("cache", {qkv, value}, 0), graph);
    } else {
      qkv = add("qkv", {normed}, t_ * (q + 2 * k) * a_);
      for (const std::string_view name : {"qkv", "q", "q_down", "q_up", "kv_down", "kv_up"}) product(qkv, name);
      for (const std::string_view name : {"q_norm", "kv_norm"}) weigh(qkv, name);
    }
    weigh(qkv, "qkv_bias");
    weigh(qkv, "qk_norm");
    if (m_.qk_norm) count(stepwise_ ? 14 : 1, (stepwise_ ? 4 * a_ + 28 : 2 * a_) * (q + k));
    if (m_.position_rows == 0) count(stepwise_ ? 10 : 1, (stepwise_ ? 7 : 2) * a_ * (q + k));
    // Rotated halves put together, and the prompt's K and V into the cache (a decode step's is counted apart).
    if (stepwise_)
      ops_.strided_bytes_per_token += static_cast<double>((m_.position_rows == 0 ? 2 * a_ * (q + k) : 0) + 4 * a_ * k);
    if (!stepwise_) count(1, 2 * a_ * k + 2 * k * bytes_of(o_.kv_dtype));
    const Vertex out = add("attention", {qkv, normed, layer_input}, t_ * q * a_, attention_workspace());
    const double keys = static_cast<double>(pass_.past) + static_cast<double>(per_sequence() + 1) / 2;
    AttentionOp op = attention_op(layer);
    graph[out].flops += op.flops_per_query_key * static_cast<double>(t_) * keys;
    fold(op);
    ops_.kernels += stepwise_ && o_.attention == AttentionKernel::kEager ? 6 : 1;
    const Vertex projected = add("attention_out", {out}, t_ * h_ * a_);
    product(projected, "attention_out");
    weigh(projected, "attention_out_bias");
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

  AttentionOp attention_op(std::int64_t layer) const {
    AttentionOp op;
    op.layers = 1;
    op.q_heads = m_.num_heads / tp_;
    op.kv_heads = std::max<std::int64_t>(m_.num_kv_heads / tp_, 1);
    op.head_dim = m_.head_dim;
    // Which layers use the window does not matter for cost, only how many do.
    if (m_.sliding_window && layer < m_.sliding_window->num_layers) op.window = m_.sliding_window->tokens;
    const double c = bytes_of(o_.kv_dtype);
    if (m_.latent_attention) {
      const LatentAttention& l = *m_.latent_attention;
      op.kv_heads = 1;
      op.head_dim = l.kv_lora_rank + l.qk_rope_head_dim;
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
    const std::int64_t width = rows * f / (experts || f % tp_ == 0 ? tp_ : 1) * a_;
    const std::string_view up_name = experts ? "expert_gate_up" : "mlp_gate_up";
    if (experts) {
      const Vertex router = add("router", {normed}, t_ * m_.experts->num_experts * 4 + 8 * rows);
      product(router, "router");
      weigh(router, "router_bias");
      count(3, 8 * m_.experts->num_experts);
    }
    Vertex inner;
    if (!m_.gated_mlp) {
      const Vertex up = add("mlp_up", {normed}, width);
      product(up, "mlp_up");
      weigh(up, "mlp_bias");
      inner = add("activation", {up, normed, residual, layer_input}, width);
      count(1, 2 * f * a_);
    } else if (eager_ && !experts) {
      const Vertex gate = add("mlp_gate", {normed}, width);
      product(gate, "mlp_gate");
      const Vertex activated = add("activation", {gate, residual, layer_input}, width);
      const Vertex up = add("mlp_up", {normed}, width);
      product(up, "mlp_up");
      inner = add("product", {activated, up, normed, residual, layer_input}, width);
      stepwise_ ? count(2, 5 * f * a_) : count(1, 3 * f * a_);
    } else {
      const Vertex up = add(std::string(up_name), {normed, residual}, 2 * width);
      product(up, up_name);
      if (experts) product(up, "shared_gate_up");
      inner = add("activation", {up}, width);
      count(1, 3 * f * a_ * rows / std::max<std::int64_t>(t_, 1));
    }
    const Vertex down =
        add("mlp_down", {inner, normed, residual, layer_input}, experts ? rows * h_ * a_ : t_ * h_ * a_);
    product(down, experts ? "expert_down" : "mlp_down");
    if (experts) product(down, "shared_down");
    ++ops_.all_reduces;
    return down;
  }

  Vertex add_layer(Vertex input, std::int64_t layer) {
    const Vertex first = add("norm", {input}, t_ * h_ * a_);
    weigh(first, "norms");
    count_norm();
    const Vertex attended = attend(first, input, layer);
    // Fused engines add into the residual stream in place; eager PyTorch makes a new tensor and the caller's frame
    // keeps the old one to the end of the layer.
    const Vertex residual = add("residual", {input, attended}, eager_ ? t_ * h_ * a_ : 0);
    if (stepwise_) count(1, 3 * a_ * h_);
    for (std::int64_t extra = 1; extra < m_.norms_per_layer; ++extra) count_norm();
    const Vertex second = add("norm", {residual, input}, t_ * h_ * a_);
    const bool experts = m_.experts && layer >= m_.experts->num_dense_layers;
    const Vertex down = feed_forward(second, residual, input, experts);
    if (stepwise_) count(1, 3 * a_ * h_);
    return add("residual", {residual, down, input}, t_ * h_ * a_);
  }

  void check_order() const {
    std::vector<Vertex> order;
    boost::topological_sort(graph, std::back_inserter(order));  // throws boost::not_a_dag
    if (order.size() != boost::num_vertices(graph)) throw std::logic_error("operator graph: lost a vertex");
    const auto [begin, end] = boost::edges(graph);
    for (auto edge = begin; edge != end; ++edge)
      if (boost::source(*edge, graph) > boost::target(*edge, graph))
        throw std::logic_error("operator graph: an operator reads what is made after it");
  }

  const ModelShape& m_;
  const ForwardOptions& o_;
  OperatorGraph::PassShape pass_;
  std::int64_t tp_, a_, t_, h_;
  bool eager_;     // tensors and matrices as Hugging Face's modules have them
  bool stepwise_;  // each of its operators is a kernel of its own
  std::vector<Matrix> matrices_;
  ForwardOps ops_;
};

}  // namespace

struct OperatorGraph::Impl {
  Graph graph;
  ForwardOps ops;
};

OperatorGraph::OperatorGraph(const ModelShape& model, const ForwardOptions& options, const PassShape& pass)
    : impl_(std::make_unique<Impl>()) {
  Builder builder(model, options, pass);
  builder.build();
  impl_->graph = std::move(builder.graph);
  impl_->ops = std::move(builder.ops());
}
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

Bytes OperatorGraph::activation_peak() const {
  const Graph& g = impl_->graph;
  std::vector<std::int64_t> dies(boost::num_vertices(g));  // bytes whose last reader is this operator
  for (const Vertex v : boost::make_iterator_range(boost::vertices(g))) {
    Vertex last = v;
    for (const auto edge : boost::make_iterator_range(boost::out_edges(v, g)))
      last = std::max(last, boost::target(edge, g));
    dies[last] += g[v].output_bytes;
  }
  std::int64_t live = 0, peak = 0;
  for (const Vertex v : boost::make_iterator_range(boost::vertices(g))) {
    live += g[v].output_bytes;
    peak = std::max(peak, live + g[v].workspace_bytes);
    live -= dies[v];
  }
  return Bytes{peak};
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

ForwardOps forward_ops(const ModelShape& model, const ForwardOptions& options) {
  return OperatorGraph(model, options, {}).ops();
}

}  // namespace headroom
