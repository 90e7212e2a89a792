// The busiest of the ranks that share experts: by hand where that is possible, by drawing where it is not; and what
// sharing whole experts changes of weights, products and messages.
#include "models/expert_load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "models/operator_graph.h"
#include "models/step_time.h"
#include "sim/config/catalogue.h"

namespace headroom {
namespace {

ModelShape model(const std::string& name) {
  return read_model(HEADROOM_SOURCE_DIR "/configs/models/" + name + ".yaml");
}

// One token of Mixtral on eight ranks of one expert each: two ranks have one row and one expert, six have nothing.
TEST(ExpertLoad, OneTokenKeepsAWholeExpertBusy) {
  const ExpertLoad load = busiest_rank({8, 2, 8}, 1);
  EXPECT_DOUBLE_EQ(load.experts, 1);
  EXPECT_DOUBLE_EQ(load.rows, 1);
}

TEST(ExpertLoad, OneRankHasTheMeans) {
  const ExpertLoad load = busiest_rank({8, 2, 1}, 3);
  EXPECT_DOUBLE_EQ(load.experts, 8 * (1 - 0.75 * 0.75 * 0.75));
  EXPECT_DOUBLE_EQ(load.rows, 6);
}

// Two ranks of one expert, one choice: of two tokens both go to one rank half of the time. The mean is 1, the larger of
// the two 1.5 by hand; by normals 1 + 0.5642 sqrt(2 / 4) = 1.399.
TEST(ExpertLoad, TwoTokensOnTwoRanks) {
  EXPECT_NEAR(busiest_rank({2, 1, 2}, 2).rows, 1 + std::sqrt(0.5 / std::acos(-1.0)), 1e-4);
}

TEST(ExpertLoad, AsDrawn) {
  std::mt19937 random(5);
  for (const ExpertSharing s : {ExpertSharing{8, 2, 2}, {8, 2, 4}, {8, 2, 8}, {128, 8, 8}, {256, 8, 16}, {64, 6, 4}})
    for (const int tokens : {1, 4, 16, 64, 256}) {
      SCOPED_TRACE(std::to_string(s.num_experts) + " experts, " + std::to_string(s.ranks) + " ranks, " +
                   std::to_string(tokens) + " tokens");
      const int draws = 20'000 / tokens;
      double experts = 0, rows = 0;
      std::vector<std::size_t> order(static_cast<std::size_t>(s.num_experts));
      std::iota(order.begin(), order.end(), std::size_t{0});
      for (int draw = 0; draw < draws; ++draw) {
        std::vector<int> of_expert(order.size()), touched(static_cast<std::size_t>(s.ranks)), got(touched.size());
        for (int token = 0; token < tokens; ++token)
          for (std::size_t i = 0; i < static_cast<std::size_t>(s.experts_per_token); ++i) {
            std::swap(order[i], order[i + static_cast<unsigned>(random()) % (order.size() - i)]);
            ++of_expert[order[i]];
          }
        for (std::size_t e = 0; e < order.size(); ++e) {
          const std::size_t rank = e / (order.size() / touched.size());
          touched[rank] += of_expert[e] > 0;
          got[rank] += of_expert[e];
        }
        experts += *std::max_element(touched.begin(), touched.end());
        rows += *std::max_element(got.begin(), got.end());
      }
      const ExpertLoad load = busiest_rank(s, tokens);
      EXPECT_NEAR(load.experts / (experts / draws), 1, 0.04);
      EXPECT_NEAR(load.rows / (rows / draws), 1, tokens >= 64 ? 0.03 : 0.08);
    }
}

// Mixtral on eight ranks: each has one of the eight experts of each layer, as many bytes as an eighth of all.
TEST(ExpertParallel, WholeExpertsTakeAsMuchAsPiecesOfAll) {
  WeightOptions pieces, whole;
  pieces.tensor_parallel = whole.tensor_parallel = 8;
  whole.expert_parallel = 8;
  const ModelShape m = model("mixtral-8x7b");
  EXPECT_EQ(weight_bytes(m, whole), weight_bytes(m, pieces));
  // Over two replicas of four: attention as with four ranks, experts as with eight.
  WeightOptions four = pieces, over_replicas = pieces;
  four.tensor_parallel = over_replicas.tensor_parallel = 4;
  over_replicas.expert_parallel = 8;
  const std::int64_t half_of_experts = count_parameters(m).experts * 2 / 8;
  EXPECT_EQ((weight_bytes(m, four) - weight_bytes(m, over_replicas)).count(), half_of_experts);
}

TEST(ExpertParallel, ProductsAndMessagesByHand) {
  ForwardOptions o;
  const ModelShape m = model("mixtral-8x7b");
  o.weights.tensor_parallel = 2;
  o.weights.expert_parallel = 8;
  o.expert_batches = 4;
  const ForwardOps ops = forward_ops(m, o);
  const auto gate_up =
      std::find_if(ops.gemms.begin(), ops.gemms.end(), [](const GemmOp& g) { return g.name == "expert_gate_up"; });
  ASSERT_NE(gate_up, ops.gemms.end());
  EXPECT_EQ(gate_up->k, 4096);
  EXPECT_EQ(gate_up->n, 2 * 14336);
  EXPECT_EQ(ops.all_to_alls, 2 * 32);
  EXPECT_EQ(ops.all_reduces, 2 * 32);
  EXPECT_DOUBLE_EQ(ops.routed_bytes_per_token, 2 * 4096 * 2 / 2);  // two copies of 4096 numbers, half of the tokens
  o.expert_batches = 1;                                            // all ranks have all hidden states: nothing is sent
  EXPECT_EQ(forward_ops(m, o).all_to_alls, 0);
}

// Of one token on 2 replicas of one GPU, links of 1 GB/s and 10 us: in each of 32 layers two all-to-alls of 2 * 4096
// numbers, of which half stay: 2 * (10 us + 8,192 B / 1 GB/s).
TEST(ExpertParallel, DispatchAndCombineByHand) {
  StepTimeOptions o;
  o.forward.weights.expert_parallel = o.forward.expert_batches = 2;
  o.all_to_all = CollectiveLink{BytesPerSecond{1e9}, Seconds{10e-6}};
  const StepTimeModel cost(model("mixtral-8x7b"), read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml"),
                           o);
  StepShape shape;
  shape.decode_sequences = shape.logit_rows = 1;
  shape.decode_context = shape.decode_windowed_context = 100;
  EXPECT_NEAR(cost.step_time(shape).communication.count(), 32 * 2 * (10e-6 + 8192 / 1e9), 1e-12);
}

}  // namespace
}  // namespace headroom
