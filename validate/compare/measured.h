// Measured runs: what was measured, and the scenario that is to predict it.
//
// A measured file is YAML:
//
//   measured: Qwen3-8B under vLLM, one A10G       title
//   source: "repository, commit, path"            where the numbers come from
//   part: judge                                   or fit: some constant of a profile or preset was fitted to it
//   note: ...                                     optional: what the source does not say, and what is assumed
//   scenario: {...}                               a whole scenario, or the path of one
//   cases:                                        any number of runs, each
//     single-stream:
//       scenario: {...}                             over the common one: only what differs
//       note: ...
//       metrics: {ttft_s.mean: 34 ms, requests_per_s: [5.7/s, 5.79/s]}   a list: repeats of the same run
//       requests: requests.csv                      per-request times, columns as a run's requests.csv
//       bench: result.json                          what vLLM's benchmark client writes
//   tables:                                       one case for each row of a CSV file
//     - file: data.csv
//       where: {engine: hf-generate}                only rows with these words
//       name: $model batch $batch                   $column stands for the row's value
//       scenario: {model: $model, engine: {max_num_seqs: $batch}}
//       metrics: {ttft_s.mean: $ttft_s s}
//
// Metrics are named as in sim/engine/measures.h. A case needs at least one of metrics, requests and bench; a value
// given under metrics stands before the same one of a file. A folder is a measured run too: one that holds
// measured.yaml, or what `headroom execute` and `headroom run --out` write (summary.json, scenario.yaml). Throws
// ConfigError and WorkloadError.
#pragma once

#include <string>
#include <vector>

#include "sim/config/scenario.h"
#include "sim/engine/measures.h"

namespace headroom {

struct MeasuredValue {
  const Measure* measure = nullptr;
  double value = 0;    // median of the repeats
  double spread = -1;  // half of (largest - smallest) / median; negative: measured once
};

struct MeasuredCase {
  std::string title;
  std::string name;  // of the case; empty: the only one
  std::string source;
  std::string note;
  bool fitted = false;
  Scenario scenario;
  std::vector<MeasuredValue> values;  // in the order of measures()
};

// Of a file or a folder.
std::vector<MeasuredCase> read_measured(const std::string& path);

}  // namespace headroom
