// How far the truth may lie from a prediction: the scenario simulated again and again, each time with every cost moved
// by a factor drawn from what its profile and preset say of their own errors, and with another seed of the workload.
//
// Each source of error has its factor exp(sigma z): GEMM, attention, elementwise and transfer kernels (profile), host
// and memory (engine preset). The z of one source are the normal quantiles of kDraws strata in random order (a Latin
// hypercube), so few draws span the law evenly; sources are independent. The 90 % interval of a measure runs between
// its 5 % and 95 % quantiles over the draws, the i-th smallest of n standing for (i - 1/2) / n. The same seed gives the
// same draws. What measured runs were found to miss beyond that widens it by a factor on both sides (conformalized
// quantile regression, Romano et al. 2019, on the logarithm; models/uncertainty.h), as far as nature allows: bytes
// stay above the weights', and a run does not end before its last arrival.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "models/uncertainty.h"
#include "sim/config/scenario.h"
#include "sim/engine/measures.h"

namespace headroom {

inline constexpr int kDraws = 20;
inline constexpr double kIntervalLevel = 0.9;

struct CostScale {
  KernelScale kernels;
  double host = 1;
  double memory = 1;  // activation peak, graphs, context
};

struct Interval {
  double low = 0;
  double high = 0;
  double drawn_low = 0, drawn_high = 0;  // of the draws alone, before it was widened
};

using Intervals = std::map<std::string_view, Interval>;  // by name of a measure

std::vector<CostScale> draw_scales(const KernelUncertainty& kernels, double host, double memory, std::uint64_t seed,
                                   int draws = kDraws);

// The scenario as it would be if its costs were off by these factors.
Scenario perturbed(const Scenario& scenario, const CostScale& scale);

// Quantiles (1 - level) / 2 and (1 + level) / 2 of the draws. NaNs are left out; without a number, both are NaN.
Interval interval_of(std::vector<double> draws, double level = kIntervalLevel);

// What the prediction stands on. A profile of this project's own kernels is that for the rules that `execute` runs;
// other engines have other kernels, and more than kernels: there it is a table of the card like another.
Ground ground_of(const Scenario& scenario);

// What the model's own discrepancy is known by; none for counts of events.
std::optional<Predicted> predicted_kind(const Measure& measure);

// Intervals of all measures() that the scenario's runs have, by name. Simulates kDraws times; `progress` hears of each.
Intervals simulate_intervals(const Scenario& scenario, const std::function<void(int done)>& progress = {});

}  // namespace headroom
