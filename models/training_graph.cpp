// From a forward graph to the graph of training, checkpointing as a change of that graph, and lifetimes.
//
// A forward operator names the tensors that its backward pass reads. In training each operator gets a backward operator
// that reads those, the gradient of its output, and adds to the gradients of its inputs; gradients of weights stay
// until the optimizer has read them. So what training keeps is what has an edge from the forward into the backward
// part, and an inference graph, which has no such part, keeps nothing.
//
// Checkpointing cuts the edges by which a region's tensors reach the backward operators of the same region, and puts a
// copy of the region before the first of these. What the region reads is then kept instead: the copy reads it.
#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <optional>

#include "models/operator_vertices.h"

namespace headroom {
namespace {

auto vertices_of(const Graph& g) {
  return boost::make_iterator_range(boost::vertices(g));
}
auto inputs_of(Vertex v, const Graph& g) {
  return boost::make_iterator_range(boost::in_edges(v, g));
}
auto uses_of(Vertex v, const Graph& g) {
  return boost::make_iterator_range(boost::out_edges(v, g));
}
bool after_forward(const Operator& op) {
  return op.phase != Phase::kForward;
}

// The forward graph with the bytes that only backward passes read as tensors of their own.
struct Saved {
  Graph graph;
  std::vector<Vertex> place;                // of each operator of the forward graph
  std::vector<std::vector<Vertex>> needed;  // by its backward pass
};
Saved with_saved_tensors(const Graph& forward) {
  Saved s;
  for (const Vertex v : vertices_of(forward)) {
    s.place.push_back(boost::add_vertex(forward[v], s.graph));
    for (const auto edge : inputs_of(v, forward))
      boost::add_edge(s.place[boost::source(edge, forward)], s.place[v], forward[edge], s.graph);
    s.needed.emplace_back();
    for (const Vertex read : forward[v].backward_reads) s.needed[v].push_back(s.place[read]);
    if (forward[v].saved_bytes == 0) continue;
    Operator kept;
    kept.name = forward[v].name + ", kept";
    kept.layer = forward[v].layer;
    kept.attention = forward[v].attention;
    kept.output_bytes = forward[v].saved_bytes;
    s.needed[v].push_back(boost::add_vertex(kept, s.graph));
    boost::add_edge(s.place[v], s.needed[v].back(), TensorUse{}, s.graph);
  }
  return s;
}

Operator counterpart(const Operator& of, const std::string& name, Phase phase) {
  Operator op;
  op.name = name + of.name;
  op.phase = phase;
  op.layer = of.layer;
  op.attention = of.attention;
  return op;
}

Graph with_pending_backward(const Graph& forward) {
  Saved s = with_saved_tensors(forward);
  for (const Vertex v : vertices_of(forward)) {
    if (s.needed[v].empty()) continue;
    const Vertex pending = boost::add_vertex(counterpart(forward[v], "backward of ", Phase::kNeverRun), s.graph);
    for (const Vertex tensor : s.needed[v]) boost::add_edge(tensor, pending, TensorUse{}, s.graph);
  }
  return s.graph;
}

Graph with_backward(const Graph& forward, std::int64_t bytes_per_weight_gradient) {
  Saved s = with_saved_tensors(forward);
  Graph& g = s.graph;
  const std::size_t count = boost::num_vertices(forward);
  std::vector<std::optional<Vertex>> gradient(count), backward(count);
  Operator step;
  step.name = "optimizer";
  step.phase = Phase::kOptimizer;
  std::vector<Vertex> weight_gradients;
  for (Vertex v = count; v-- > 0;) {
    const bool loss = v + 1 == count;
    if (!forward[v].differentiable || (!gradient[v] && !loss)) continue;  // nothing depends on it
    std::vector<Vertex> inputs;
    for (const auto edge : inputs_of(v, forward)) {
      const Vertex u = boost::source(edge, forward);
      if (forward[edge].held || !forward[u].differentiable) continue;
      inputs.push_back(u);
      if (gradient[u]) continue;  // another reader's backward ran before: this one adds to it
      Operator made = counterpart(forward[u], "gradient of ", Phase::kBackward);
      made.output_bytes = forward[u].output_bytes;
      gradient[u] = boost::add_vertex(made, g);
    }
    Operator op = counterpart(forward[v], "backward of ", Phase::kBackward);
    op.flops = 2 * forward[v].flops;  // with respect to the input and to the weights
    op.weight_gradient_bytes = bytes_per_weight_gradient * forward[v].parameters;
    const Vertex b = boost::add_vertex(op, g);
    backward[v] = b;
    if (gradient[v]) boost::add_edge(*gradient[v], b, TensorUse{}, g);
    for (const Vertex u : inputs) boost::add_edge(*gradient[u], b, TensorUse{}, g);
    for (const Vertex tensor : s.needed[v]) boost::add_edge(tensor, b, TensorUse{}, g);
    for (const auto edge : uses_of(v, forward))
      if (const auto reader = backward[boost::target(edge, forward)]; reader && !forward[edge].held)
        boost::add_edge(*reader, b, TensorUse{}, g);
    if (op.weight_gradient_bytes > 0) weight_gradients.push_back(b);
  }
  const Vertex optimizer = boost::add_vertex(step, g);
  for (const Vertex b : weight_gradients) boost::add_edge(b, optimizer, TensorUse{}, g);
  return s.graph;
}

// The largest sum of what is live at once: a tensor from the operator that makes it to the last that uses it.
template <class Output, class Workspace>
Bytes peak_of(const Graph& g, Output output, Workspace workspace) {
  std::vector<std::int64_t> dies(boost::num_vertices(g));  // bytes whose last user is this operator
  for (const Vertex v : vertices_of(g)) {
    Vertex last = v;
    for (const auto edge : uses_of(v, g)) last = std::max(last, boost::target(edge, g));
    dies[last] += output(g[v]);
  }
  std::int64_t live = 0, peak = 0;
  for (const Vertex v : vertices_of(g)) {
    live += output(g[v]);
    peak = std::max(peak, live + workspace(g[v]));
    live -= dies[v];
  }
  return Bytes{peak};
}

}  // namespace

Graph with_mode(const Graph& forward, OperatorGraph::Mode mode, std::int64_t bytes_per_weight_gradient) {
  switch (mode) {
    case OperatorGraph::Mode::kInference:
      return forward;
    case OperatorGraph::Mode::kAutograd:
      return with_pending_backward(forward);
    case OperatorGraph::Mode::kTraining:
      return with_backward(forward, bytes_per_weight_gradient);
  }
  return forward;
}

Graph with_checkpoints(const Graph& graph, const Checkpointing& checkpointing) {
  using enum Checkpointing::Kind;
  const auto region = [&](Vertex v) -> std::int64_t {
    const Operator& op = graph[v];
    if (checkpointing.kind == kNone || op.layer < 0) return -1;
    if (checkpointing.kind == kSelective) return op.attention ? op.layer : -1;
    return op.layer / checkpointing.layers;
  };
  const auto reaches_own_backward = [&](Vertex v, Vertex user) {
    return region(v) >= 0 && !after_forward(graph[v]) && after_forward(graph[user]) && region(user) == region(v);
  };
  // What another region's backward reads is kept anyway.
  const auto kept_by_others = [&](Vertex v) {
    const auto uses = uses_of(v, graph);
    return std::any_of(uses.begin(), uses.end(), [&](const auto edge) {
      const Vertex user = boost::target(edge, graph);
      return after_forward(graph[user]) && region(user) != region(v);
    });
  };

  Graph g;
  const std::size_t count = boost::num_vertices(graph);
  std::vector<Vertex> place(count);
  std::vector<std::optional<Vertex>> again(count);
  std::vector<bool> done(count);  // by region
  const auto run_again = [&](std::int64_t r) {
    for (const Vertex v : vertices_of(graph)) {
      if (region(v) != r || after_forward(graph[v])) continue;
      Operator op = graph[v];
      op.phase = Phase::kRecompute;
      op.parameters = 0;  // counted where it ran first
      again[v] = boost::add_vertex(op, g);
      for (const auto edge : inputs_of(v, graph)) {
        const Vertex u = boost::source(edge, graph);
        boost::add_edge(region(u) == r ? *again[u] : place[u], *again[v], graph[edge], g);
      }
    }
  };
  // What a region that never runs again would read.
  const auto hold_inputs = [&](std::int64_t r, Vertex holder) {
    for (const Vertex v : vertices_of(graph)) {
      if (region(v) != r || after_forward(graph[v])) continue;
      for (const auto edge : inputs_of(v, graph))
        if (const Vertex u = boost::source(edge, graph); region(u) != r && !graph[edge].held)
          boost::add_edge(place[u], holder, TensorUse{}, g);
    }
  };
  for (const Vertex v : vertices_of(graph)) {
    const std::int64_t r = region(v);
    bool cut = false;
    for (const auto edge : inputs_of(v, graph)) {
      const Vertex u = boost::source(edge, graph);
      cut = cut || (reaches_own_backward(u, v) && !kept_by_others(u));
    }
    const bool first = cut && !done[static_cast<std::size_t>(r)];
    if (first) done[static_cast<std::size_t>(r)] = true;
    if (first && graph[v].phase != Phase::kNeverRun) run_again(r);
    place[v] = boost::add_vertex(graph[v], g);
    if (first && graph[v].phase == Phase::kNeverRun) hold_inputs(r, place[v]);
    for (const auto edge : inputs_of(v, graph)) {
      const Vertex u = boost::source(edge, graph);
      if (!reaches_own_backward(u, v) || kept_by_others(u)) {
        boost::add_edge(place[u], place[v], graph[edge], g);
      } else if (again[u]) {
        boost::add_edge(*again[u], place[v], graph[edge], g);
      }
    }
  }
  return g;
}

OperatorGraph OperatorGraph::checkpointed(const Checkpointing& checkpointing) const {
  auto impl = std::make_unique<Impl>();
  impl->graph = with_checkpoints(impl_->graph, checkpointing);
  impl->ops = impl_->ops;
  return OperatorGraph(std::move(impl));
}

Bytes OperatorGraph::activation_peak() const {
  return peak_of(
      impl_->graph, [](const Operator& op) { return op.output_bytes; },
      [](const Operator& op) { return op.workspace_bytes; });
}

Bytes OperatorGraph::weight_gradient_peak() const {
  return peak_of(
      impl_->graph, [](const Operator& op) { return op.weight_gradient_bytes; }, [](const Operator&) { return 0; });
}

Bytes OperatorGraph::saved_for_backward() const {
  const Graph& g = impl_->graph;
  std::int64_t sum = 0;
  for (const Vertex v : vertices_of(g)) {
    if (after_forward(g[v])) continue;
    const auto uses = uses_of(v, g);
    if (std::any_of(uses.begin(), uses.end(), [&](const auto e) { return after_forward(g[boost::target(e, g)]); }))
      sum += g[v].output_bytes;
  }
  return Bytes{sum};
}

}  // namespace headroom
