// A sweep: a scenario, axes along which it varies, and the points they span. configs/sweeps/README.md shows the file.
//
// Points are numbered: the last axis varies fastest, then the variant, then the seed. A point's number says all about
// it, so processes that share the sweep file need to tell each other only numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/scenario_reader.h"

namespace headroom {

struct AxisValue {
  Value layer;                   // sets it, to lie over the scenario
  std::string text;              // as YAML
  std::string word;              // its name, or the text
  std::optional<double> number;  // in the axis' unit, if that is one
};

struct Axis {
  std::string path;
  std::string unit;         // "number", "B", "s", "1/s", ... when every value is one; else empty: words
  std::size_t dimension{};  // axes of equal dimension vary together
  std::vector<AxisValue> values;
};

struct SweepPoint {
  std::vector<std::size_t> at;  // position on each axis
  std::string variant;          // empty: the scenario has none
  std::optional<std::uint64_t> seed;
};

struct SweepFile {
  std::string name;
  std::string definition;     // the file's text, and each override as a comment at its end
  std::string scenario_file;  // that it varies
  std::string scenario;       // its text
  std::vector<Value> common;  // layers of `set`
  std::vector<Axis> axes;
  std::vector<std::size_t> lengths;   // of each dimension
  std::vector<std::string> variants;  // {""} without
  std::vector<std::uint64_t> seeds;   // empty: the scenario's own
  std::vector<std::size_t> probes;    // points that were tried, at least one with each value

  std::size_t num_points() const;
  SweepPoint point(std::size_t id) const;
};

// `overrides`: "path.to.key=value", over the scenario and the sweep's `set`, below the axes. Every axis value is tried:
// one that no point can use is an error. Throws ConfigError.
SweepFile read_sweep(const std::string& file, Shelf& shelf, const std::vector<std::string>& overrides = {});

// Every value of every dimension must be good for some point: the first with it, or else any. Fills `probes`.
void try_values(SweepFile& sweep, Shelf& shelf);

// The scenario of a point. Throws ConfigError, WorkloadError.
Scenario load_point(const SweepFile& sweep, const SweepPoint& point, Shelf& shelf);

// An axis as `axes` of a sweep file has it, from text: "hardware=[a10g, l4]" or "engine.max_num_seqs={from: 8, ...}".
// Errors are placed at `origin`.
Axis axis_from_text(const std::string& assignment, const std::string& origin);

}  // namespace headroom
