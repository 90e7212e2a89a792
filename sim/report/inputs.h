// Which inputs of recorded runs differ, and what each of them does alone: the first run is simulated again with one
// input of the second at a time.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/output/run_reader.h"

namespace headroom {

using Leaves = std::vector<std::pair<std::string, std::string>>;  // scalars of a resolved scenario, by path

// "": none.
std::string leaf(const Leaves& leaves, std::string_view path);

// An input that two runs do not share. A section whose keys depend on each other (an engine under another preset, a
// workload of another kind) is one input.
struct ChangedInput {
  std::string path;          // "engine.block_size", or of a section "engine"
  std::string from, to;      // as texts; of a section what tells them apart
  RecordedSummary alone;     // the first run with this input of the second
  std::string problem = "";  // why there is none
};

struct Attribution {
  RecordedSummary first;  // simulated again, by this program
  std::vector<ChangedInput> inputs;
  std::string problem;  // why nothing was simulated; empty: it was
};
// Simulates at most kMostRequests requests in all.
inline constexpr double kMostRequests = 3e6;
Attribution attribute(const RecordedRun& first, const RecordedRun& second, const Leaves& a, const Leaves& b);

// Both as HTML, for the runs of one page, in their order.
std::string inputs_html(std::span<const RecordedRun> runs, std::span<const Leaves> leaves);

}  // namespace headroom
