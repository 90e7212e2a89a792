// A fact of a hardware file: {value, source}, and possibly its own evidence.
#pragma once

#include <string_view>

#include "models/hardware.h"
#include "sim/config/reader.h"

namespace headroom {

Evidence evidence_of(const Value& value);

// The value of the fact at `key`; an error without a value or a source.
Value fact(const Map& map, std::string_view key);

template <class Rate>
Rate positive(const Value& value, Rate (Value::*read)() const) {
  const Rate rate = (value.*read)();
  if (rate.rate() <= 0) value.fail("must be above zero");
  return rate;
}

}  // namespace headroom
