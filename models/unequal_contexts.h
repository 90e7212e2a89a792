// Contexts of unequal length, as a batch under way has them: what decode attention over them takes longer than over
// equal ones is measured on these, and held for other spreads in proportion to their standard deviation.
#pragma once

#include <cstdint>
#include <vector>

namespace headroom {

// Quantiles of an exponential distribution (lengths that end at a constant rate), shortest first: whole tokens, at
// least one, adding up to `batch` * `mean` but for rounding.
std::vector<std::int64_t> unequal_contexts(std::int64_t batch, std::int64_t mean);

// Standard deviation of unequal_contexts(batch, mean) over `mean`, before rounding.
double unequal_spread(std::int64_t batch);

}  // namespace headroom
