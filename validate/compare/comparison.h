// Measured beside predicted: errors, intervals, how often the truth lay inside, and bounds a user sets on errors.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/intervals.h"
#include "validate/compare/measured.h"

namespace headroom {

struct ComparedValue {
  MeasuredValue measured;
  double predicted = 0;
  double error = 0;  // predicted / measured - 1; measured zero: 0 if predicted so, else infinite
  Interval interval;
  bool inside = false;  // of the interval
  // Whether the interval is one: what is exact, the plan's integers, has no width and does not count for coverage.
  bool has_width = false;
};

struct ComparedCase {
  const MeasuredCase* measured = nullptr;
  std::vector<ComparedValue> values;
};

// Simulates the case once as it stands and kDraws times with errors drawn. Values that the prediction does not have
// (nothing completed) are NaN.
ComparedCase compare(const MeasuredCase& measured);

double relative_error(double predicted, double measured);

// Of one family of measures (ttft_s, output_tokens_per_s, ...) over many cases.
struct FamilyErrors {
  std::string family;
  std::int64_t values = 0;
  double median = 0, worst = 0;                // of the absolute errors
  std::int64_t inside = 0, with_interval = 0;  // coverage is inside / with_interval
};
std::vector<FamilyErrors> errors_by_family(std::span<const ComparedCase> cases);

// --max-error NAME=5%: NAME a measure, a family, or "all".
struct ErrorBound {
  std::string name;
  double most = 0;
};
struct Violation {
  const ComparedCase* where = nullptr;
  const ComparedValue* value = nullptr;
  double most = 0;
};
// Throws ConfigError for text that is no bound, a name that no measure has, and a bound that no value is held to.
ErrorBound parse_bound(const std::string& text);
std::vector<Violation> violations(std::span<const ComparedCase> cases, std::span<const ErrorBound> bounds);

}  // namespace headroom
