// Reads back what `headroom run --out DIR` wrote: the opposite of summary_json() and of the CSV writers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/output/csv_reader.h"

namespace headroom {

// The fields of a summary.json, by their path: numbers["latency.ttft_s.p99"], texts["prediction.provenance"].
struct RecordedSummary {
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> texts;

  double number(const std::string& path) const;  // NaN: not there
  std::string text(const std::string& path) const;
};
// Throws ConfigError, placed in `file`, when the text is no summary.
RecordedSummary parse_summary(const std::string& text, const std::string& file);

struct RecordedRun {
  std::string name;    // of its variant, or of its folder
  std::string folder;  // as given on the command line
  RecordedSummary summary;
  std::string scenario;      // scenario.yaml, resolved
  std::int64_t samples = 1;  // answers to a request, streamed side by side
  RecordedTable requests;
  RecordedTable timeline;
};

// One run for a folder with a summary.json; else one for each folder in it that has one, in the order of their names.
// Throws ConfigError where a file is missing or damaged.
std::vector<RecordedRun> read_runs(const std::string& folder);

}  // namespace headroom
