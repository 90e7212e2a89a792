// What `headroom numerics` says, as tables and as JSON.
#pragma once

#include <optional>
#include <string>

#include "models/hardware.h"
#include "sim/numerics/calibration.h"
#include "sim/numerics/cast_report.h"

namespace headroom {

// The card that tensors are for; with a scenario also what its KV cache makes of a byte.
struct CastCosts {
  HardwareProfile hardware;
  std::optional<BytesPerToken> kv_per_token;
  Tokens kv_pool_tokens;  // of the scenario's memory plan

  // Reading these bytes once, as each decode step does with all weights (SEMANTICS 7.2).
  Seconds read_time(Bytes bytes) const;
};

// `rows`: at most so many tensors, the worst first; 0: all.
std::string cast_table(const CastReport& report, const std::optional<CastCosts>& costs, std::size_t rows, bool colour);
std::string cast_json(const CastReport& report, const std::optional<CastCosts>& costs);
std::string calibration_table(const CalibrationReport& report, bool colour);
std::string calibration_json(const CalibrationReport& report);

}  // namespace headroom
