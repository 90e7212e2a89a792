// Reads the SQLite file of a sweep; configs/sweeps/README.md documents its tables.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace headroom {

struct SweepAxisValues {
  std::string path;
  std::optional<std::int64_t> zip;  // axes of equal number vary together
  std::string unit;                 // "number", "B", "s", "1/s", ...; empty: values are words
  std::vector<std::string> words;   // in order; of a numeric axis as SQLite prints them
  std::vector<double> numbers;      // of a numeric axis
};

struct SweepPointResult {
  std::int64_t id = 0;
  std::vector<std::size_t> at;  // position on each axis
  std::string variant;          // empty: the scenario has none
  std::int64_t seed = 0;
  bool failed = false;
  std::string message;                    // of a failed one
  std::map<std::string, double> figures;  // by column: "latency_ttft_s_p99"
  std::map<std::string, std::string> texts;
};

struct SweepResults {
  std::string name, version, definition, scenario;
  std::int64_t planned = 0;  // points when it is whole
  std::vector<SweepAxisValues> axes;
  std::vector<SweepPointResult> points;  // recorded so far, by id
};

// Throws ConfigError, placed in `file`, when it is no sweep's database.
SweepResults read_sweep_results(const std::string& file);

}  // namespace headroom
