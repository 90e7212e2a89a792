// Pictures of recorded runs, as scripts for draw(): the ledger, batch and queue over time, latency distributions.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/output/run_reader.h"
#include "sim/report/gnuplot.h"

namespace headroom {

// A state of a KV slot (SEMANTICS 3.3): its field in summary.json's waste and column of timeline.csv, and its colour.
struct SlotState {
  std::string_view field, label, colour;  // colour: a variable of kPalette
};
inline constexpr std::array<SlotState, 7> kSlotStates{{{"token_states", "token states", "--blue"},
                                                       {"reservation", "reserved for later", "--orange"},
                                                       {"internal", "internal waste", "--vermilion"},
                                                       {"padding", "padding", "--yellow"},
                                                       {"external", "external waste", "--pink"},
                                                       {"cached", "cached, unreferenced", "--sky"},
                                                       {"free", "free", "--empty"}}};

// A per-request latency, in seconds; NaN where the request has none.
enum class Latency { kTtft, kTpot, kE2el };
std::vector<double> latencies(const RecordedRun& run, Latency which);

// `alone`: over the whole width.
PlotScript ledger_chart(const RecordedRun& run, bool alone);
PlotScript queue_chart(const RecordedRun& run, bool alone);
// Share of requests at or below, one line a run, in the order of kPalette; `bound`: the SLO. None: nothing to draw.
std::optional<PlotScript> latency_chart(std::span<const RecordedRun> runs, Latency which, std::optional<double> bound);

// Marks of a logarithmic time axis, as gnuplot's tics: round numbers of ms, s, min and h.
std::string time_tics(double low, double high);

std::string rgb_of(std::string_view variable);

}  // namespace headroom
