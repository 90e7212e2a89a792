#include "models/unequal_contexts.h"

#include <algorithm>
#include <cmath>

namespace headroom {
namespace {

// Of mean one.
std::vector<double> shares(std::int64_t batch) {
  const auto n = static_cast<double>(batch);
  std::vector<double> x;
  double sum = 0;
  for (std::int64_t i = 0; i < batch; ++i) {
    x.push_back(-std::log1p(-(static_cast<double>(i) + 0.5) / n));
    sum += x.back();
  }
  for (double& v : x) v *= n / sum;
  return x;
}

}  // namespace

std::vector<std::int64_t> unequal_contexts(std::int64_t batch, std::int64_t mean) {
  std::vector<std::int64_t> contexts;
  for (const double x : shares(batch))
    contexts.push_back(std::max<std::int64_t>(1, std::llround(x * static_cast<double>(mean))));
  return contexts;
}

double unequal_spread(std::int64_t batch) {
  double squares = 0;
  for (const double x : shares(batch)) squares += (x - 1) * (x - 1);
  return std::sqrt(squares / static_cast<double>(batch));
}

}  // namespace headroom
