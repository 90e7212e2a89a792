// Comparisons as people and programs read them.
#pragma once

#include <span>
#include <string>

#include "validate/compare/comparison.h"

namespace headroom {

// Each case with its values, then a line a family of measures.
std::string comparison_table(std::span<const ComparedCase> cases);

// {interval_level, cases: [{title, case, part, source, note, hardware, engine, model,
//   values: [{metric, measured, spread, predicted, error, interval, inside}]}], families: [...]}; times in seconds,
// sizes in bytes, errors as fractions; null for what is not there.
std::string comparison_json(std::span<const ComparedCase> cases);

std::string violation_text(const Violation& violation);

}  // namespace headroom
