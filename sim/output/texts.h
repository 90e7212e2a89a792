// Numbers as people read them: few significant digits, and the unit that suits their size.
#pragma once

#include <string>
#include <string_view>

#include "models/units.h"

namespace headroom {

std::string time_text(double seconds);
std::string size_text(Bytes size);
std::string number_text(double value);
std::string percent_text(double fraction);

// What a prediction is worth, in one line: by the provenance of summary.json, the card, and the share of GPU time
// outside of measured tables.
std::string trust_text(std::string_view provenance, const std::string& hardware, double extrapolated_fraction);

}  // namespace headroom
