// Which inputs of recorded runs differ, and what each of them does alone: the first run is simulated again with one
// input of the second at a time.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/output/run_reader.h"

namespace headroom {

using Leaves = std::vector<std::pair<std::string, std::string>>;  // scalars of a resolved scenario, by path

// "": none.
std::string leaf(const Leaves& leaves, std::string_view path);

// As HTML, for the runs of one page and their scenarios, in their order. What inputs do alone is there for two runs
// that differ in several; 3 million requests are simulated at most, else a sentence says why it is not there.
std::string inputs_html(std::span<const RecordedRun> runs, std::span<const Leaves> leaves);

}  // namespace headroom
