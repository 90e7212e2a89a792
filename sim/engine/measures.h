// The numbers of a finished run by name, as `validate` compares them and `run --intervals` bounds them.
//
// Names are the last parts of summary.json's paths: ttft_s.p50, requests_per_s, num_gpu_blocks. Some are not in
// summary.json, since only a measured run is asked for them: itl_s.min, peak_allocated_bytes.
#pragma once

#include <span>
#include <string_view>

#include "sim/config/scenario.h"
#include "sim/metrics/run_result.h"
#include "sim/metrics/summary.h"

namespace headroom {

enum class Dimensions { kTime, kRate, kSize, kCount };

struct Measure {
  std::string_view name;
  Dimensions dimension;
  // In seconds, per second, bytes or counts; NaN when the run has none (no request completed, no blocks).
  double (*of)(const Scenario& scenario, const RunResult& run, const Summary& summary);
  // Of the memory plan alone: the same however long kernels take.
  bool planned = false;
};

std::span<const Measure> measures();
// Null when there is none of that name.
const Measure* measure_named(std::string_view name);
// Whether `family` is the name or its first part: ttft_s names ttft_s.mean, ttft_s.p50, ...
bool belongs_to(std::string_view name, std::string_view family);

}  // namespace headroom
