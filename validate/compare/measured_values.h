// Where measured values come from: a map of metrics, per-request times, a benchmark's JSON, a run's summary.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/config/reader.h"
#include "validate/compare/measured.h"

namespace headroom {

// By name, so that each measure has one value.
using MeasuredValues = std::map<std::string_view, MeasuredValue>;

// {ttft_s.p50: 44 ms, requests_per_s: [5.7/s, 5.79/s]}. `dimension` decides which unit a value must carry.
MeasuredValues values_of(const Map& metrics);

// Latencies and throughput of a requests.csv: arrival_s, first_token_s, finish_s, prompt_tokens, output_tokens, and
// where there is one scheduled_s. Rows whose status column says otherwise than finished count as not completed.
MeasuredValues values_of_requests(const std::string& path);

// vLLM's benchmark result: *_throughput and {mean,median,p90,p95,p99}_{ttft,tpot,itl,e2el}_ms.
MeasuredValues values_of_bench(const std::string& path);

// summary.json of a run or an execution.
MeasuredValues values_of_summary(const std::string& path);

// In the order of measures().
std::vector<MeasuredValue> in_order(const MeasuredValues& values);

}  // namespace headroom
