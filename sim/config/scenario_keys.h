// Every key a scenario can have, found by letting the readers read.
//
// Nothing here lists keys: load_scenario() is run on small documents, and a watcher notes which keys are looked for, as
// what their values are read and which words they can be. Each word of each choice is tried in turn, and each map, so
// that keys which have a meaning only there are found too. A key that is added to a reader is found without further
// ado.
#pragma once

#include <string>
#include <vector>

#include "sim/config/reader.h"

namespace headroom {

struct ScenarioKey {
  std::string path;                // "workload.arrivals.rate"
  std::vector<ValueKind> kinds;    // as what it is read; several: any of them. Empty: anything
  double min = 0, max = 0;         // of numbers, the widest
  std::vector<std::string> words;  // it can be
  bool other_words = false;        // names of files too
  // Choices beside it under which alone it has a meaning: "process: gamma". Empty: under all.
  std::vector<std::string> only_with;
};

// In the order in which they are looked for; maps before what is in them.
std::vector<ScenarioKey> scenario_keys();

}  // namespace headroom
