// "80 GiB", "3.35 TB/s", "50 ms", "3/s": text to quantities and back. What is printed reads back to the same value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/units.h"

namespace headroom {

enum class Dimension { kSize, kBandwidth, kCompute, kTime, kRate, kPower, kPricePerHour };

struct ParsedQuantity {
  double value = 0;     // in B, B/s, FLOP/s, s, 1/s, W, USD/h
  std::string problem;  // empty: fine. Otherwise what is wrong, to follow the value's path
};
ParsedQuantity parse_quantity(std::string_view text, Dimension wanted);

// Every unit of a dimension, and a quantity as a user would write it: "80 GiB".
std::vector<std::string_view> units_of(Dimension dimension);
std::string_view example_of(Dimension dimension);

// A plain number, the whole text; none for anything else, nan and infinity included.
std::optional<double> parse_number(std::string_view text);

std::string print(Bytes size);           // exact: the largest binary unit that divides it
std::string print(Seconds time);         // shortest decimal that reads back
std::string print_number(double value);  // shortest decimal that reads back

}  // namespace headroom
