#include "sim/output/texts.h"

#include <fmt/format.h>

#include <cmath>

namespace headroom {

std::string time_text(double s) {
  if (s <= 0) return "0";
  if (s < 1e-3) return fmt::format("{:.3g} us", s * 1e6);
  if (s < 1) return fmt::format("{:.3g} ms", s * 1e3);
  if (s < 600) return fmt::format("{:.3g} s", s);
  if (s < 7200) return fmt::format("{:.1f} min", s / 60);
  return fmt::format("{:.1f} h", s / 3600);
}

std::string size_text(Bytes size) {
  return fmt::format("{:.2f} GiB", static_cast<double>(size.count()) / static_cast<double>(kGiB));
}

std::string number_text(double value) {
  return std::abs(value) >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string percent_text(double fraction) {
  return fmt::format("{:.1f} %", 100 * fraction);
}

std::string trust_text(std::string_view provenance, const std::string& hardware, double extrapolated_fraction) {
  if (provenance == "datasheet")
    return fmt::format("from a data sheet, nothing about {} was measured for it; expect errors of tens of percent",
                       hardware);
  if (provenance == "fitted")
    return fmt::format("the profile of {} was fitted to published measurements, no table of its kernels is known",
                       hardware);
  return fmt::format("kernels of {} from measured tables, {} of GPU time outside of them", hardware,
                     percent_text(extrapolated_fraction));
}

}  // namespace headroom
