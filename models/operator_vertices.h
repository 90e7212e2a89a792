// The graph itself, for the files behind operator_graph.h only: nobody else sees Boost.Graph.
#pragma once

#include <boost/graph/adjacency_list.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "models/operator_graph.h"

namespace headroom {

using Vertex = std::size_t;

enum class Phase {
  kForward,
  kRecompute,  // a forward operator once more, because what it made was not kept
  kBackward,
  kOptimizer,
  kNeverRun,  // stands for the backward pass that autograd keeps tensors for and nobody asks for
};

struct Operator {
  std::string name;
  double flops = 0;
  std::int64_t parameters = 0;
  std::int64_t output_bytes = 0;
  std::int64_t workspace_bytes = 0;
  Phase phase = Phase::kForward;
  std::int64_t layer = -1;             // of the transformer; -1 before the first and after the last
  bool attention = false;              // the core that selective recomputation makes again: scores, softmax, context
  std::vector<Vertex> backward_reads;  // tensors that its backward pass needs, by the operator that makes them
  std::int64_t saved_bytes = 0;        // what it needs besides: softmax, dropout masks, row statistics, casts
  std::int64_t weight_gradient_bytes = 0;
  bool differentiable = true;  // false: position tables and the like
};

// An edge leads from the operator that makes a tensor to one that reads it, or to one that still runs while a caller's
// frame holds it.
struct TensorUse {
  bool held = false;
};

using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Operator, TensorUse>;

struct OperatorGraph::Impl {
  Graph graph;
  ForwardOps ops;
};

// Forward graph to what the mode asks for: as it is; with a holder of what backward would read; or with backward and
// optimizer.
Graph with_mode(const Graph& forward, OperatorGraph::Mode mode, std::int64_t bytes_per_weight_gradient);
Graph with_checkpoints(const Graph& graph, const Checkpointing& checkpointing);

}  // namespace headroom
