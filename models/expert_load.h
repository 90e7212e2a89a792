// Experts shared by whole ones: what the busiest rank has to do, for whom all others wait.
//
// Each token chooses k different ones of E experts, all alike (routers are trained towards that; how far from it a
// model is does not show in its config). Then T tokens leave each expert untouched with (1 - k/E)^T, and a rank gets
// T k / r rows. Small batches miss these means by far: one token of Mixtral on eight ranks keeps two of them busy with
// a whole expert, where tensor parallelism gives each of the eight a quarter of one.
//
//   experts   largest of r independent binomials of E/r experts, touched with p = 1 - (1 - k/E)^T; at least one
//   rows      largest of r normals of mean T k / r and a token's hypergeometric variance, T times; not below experts
//
// Ranks are not independent (what one gets the others do not), which both forms leave out: experts are within 4 % of
// drawing, rows within 8 %, from 64 tokens on within 3 % (tests/unit/models/expert_load_test.cpp).
#pragma once

#include <cstdint>

namespace headroom {

struct ExpertSharing {
  std::int64_t num_experts = 1;        // E
  std::int64_t experts_per_token = 1;  // k
  std::int64_t ranks = 1;              // r, divides E
};

struct ExpertLoad {
  double experts = 0;  // whose weights are read
  double rows = 0;     // of tokens, each counted for every expert it goes to
};

// Of one layer, `tokens` of all batches together. One rank has the means themselves.
ExpertLoad busiest_rank(const ExpertSharing& sharing, double tokens);

}  // namespace headroom
