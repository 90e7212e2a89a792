// What a run rests on: the facts of its hardware profile with their sources, and whether the files it was made from are
// still the same.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/output/run_reader.h"

namespace headroom {

struct HardwareFact {
  std::string name, value, evidence, source;
};

struct Provenance {
  std::string device;               // empty: the profile could not be read, see `problem`
  std::string evidence, source;     // of the profile as a whole
  std::vector<HardwareFact> facts;  // tables last
  std::string problem;
};
Provenance provenance_of(const RecordedRun& run);

// A sentence: model, profile and trace are what they were when the run was made, or not, or nobody knows.
std::string state_of_inputs(const RecordedRun& run);

// The resolved scenario, by path; throws ConfigError when it is damaged.
std::vector<std::pair<std::string, std::string>> scenario_leaves(const RecordedRun& run);

}  // namespace headroom
