#include "sim/config/quantity.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace headroom {
namespace {

struct Unit {
  std::string_view name;
  Dimension dimension;
  double factor;
};

constexpr std::array kUnits{
    Unit{"B", Dimension::kSize, 1},
    Unit{"kB", Dimension::kSize, 1e3},
    Unit{"MB", Dimension::kSize, 1e6},
    Unit{"GB", Dimension::kSize, 1e9},
    Unit{"TB", Dimension::kSize, 1e12},
    Unit{"KiB", Dimension::kSize, 1024},
    Unit{"MiB", Dimension::kSize, 1048576},
    Unit{"GiB", Dimension::kSize, 1073741824},
    Unit{"TiB", Dimension::kSize, 1099511627776.0},
    Unit{"B/s", Dimension::kBandwidth, 1},
    Unit{"kB/s", Dimension::kBandwidth, 1e3},
    Unit{"MB/s", Dimension::kBandwidth, 1e6},
    Unit{"GB/s", Dimension::kBandwidth, 1e9},
    Unit{"TB/s", Dimension::kBandwidth, 1e12},
    Unit{"MiB/s", Dimension::kBandwidth, 1048576},
    Unit{"GiB/s", Dimension::kBandwidth, 1073741824},
    Unit{"FLOP/s", Dimension::kCompute, 1},
    Unit{"GFLOP/s", Dimension::kCompute, 1e9},
    Unit{"TFLOP/s", Dimension::kCompute, 1e12},
    Unit{"PFLOP/s", Dimension::kCompute, 1e15},
    Unit{"ns", Dimension::kTime, 1e-9},
    Unit{"us", Dimension::kTime, 1e-6},
    Unit{"ms", Dimension::kTime, 1e-3},
    Unit{"s", Dimension::kTime, 1},
    Unit{"min", Dimension::kTime, 60},
    Unit{"h", Dimension::kTime, 3600},
    Unit{"/s", Dimension::kRate, 1},
    Unit{"/min", Dimension::kRate, 1.0 / 60},
    Unit{"/h", Dimension::kRate, 1.0 / 3600},
    Unit{"W", Dimension::kPower, 1},
    Unit{"kW", Dimension::kPower, 1e3},
    Unit{"USD/h", Dimension::kPricePerHour, 1},
};

struct Names {
  std::string_view noun, example;
};
Names names_of(Dimension dimension) {
  switch (dimension) {
    case Dimension::kSize:
      return {"a size", "80 GiB"};
    case Dimension::kBandwidth:
      return {"a bandwidth", "600 GB/s"};
    case Dimension::kCompute:
      return {"a compute rate", "125 TFLOP/s"};
    case Dimension::kTime:
      return {"a time", "50 ms"};
    case Dimension::kRate:
      return {"a rate", "3/s"};
    case Dimension::kPower:
      return {"a power", "300 W"};
    case Dimension::kPricePerHour:
      return {"a price per hour", "1.2 USD/h"};
  }
  return {};
}

std::string expected(Dimension dimension) {
  const Names n = names_of(dimension);
  return fmt::format("; expected {}, for example '{}'", n.noun, n.example);
}

}  // namespace

std::vector<std::string_view> units_of(Dimension dimension) {
  std::vector<std::string_view> names;
  for (const Unit& u : kUnits)
    if (u.dimension == dimension) names.push_back(u.name);
  return names;
}

std::string_view example_of(Dimension dimension) {
  return names_of(dimension).example;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

ParsedQuantity parse_quantity(std::string_view text, Dimension wanted) {
  const std::size_t digits = text.find_first_not_of("+-.0123456789eE");
  std::string_view number = text.substr(0, digits);
  // "3e" of "3exbibytes" is no exponent; give the letter back to the unit.
  while (!number.empty() && (number.back() == 'e' || number.back() == 'E')) number.remove_suffix(1);
  std::string_view unit = text.substr(number.size());
  while (!number.empty() && number.back() == ' ') number.remove_suffix(1);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const std::optional<double> value = parse_number(number);
  if (!value) return {0, fmt::format("'{}' is no quantity{}", text, expected(wanted))};
  if (unit.empty()) return {0, fmt::format("'{}' has no unit{}", text, expected(wanted))};
  for (const Unit& u : kUnits) {
    if (u.name != unit) continue;
    if (u.dimension != wanted)
      return {0, fmt::format("'{}' is {}{}", text, names_of(u.dimension).noun, expected(wanted))};
    return {*value * u.factor, {}};
  }
  return {0, fmt::format("'{}' has an unknown unit '{}'{}", text, unit, expected(wanted))};
}

std::string print_number(double value) {
  return fmt::format("{}", value);
}

std::string print(Bytes size) {
  const std::int64_t n = size.count();
  if (n != 0 && n % kGiB == 0) return fmt::format("{} GiB", n / kGiB);
  if (n != 0 && n % kMiB == 0) return fmt::format("{} MiB", n / kMiB);
  return fmt::format("{} B", n);
}

// Seconds, unless a smaller unit takes fewer digits: 10 us are read as 9.999999999999999e-06 s.
std::string print(Seconds time) {
  const auto digits = [](const std::string& text) {
    std::string mantissa = text.substr(0, text.find_first_of("e "));
    std::erase(mantissa, '.');
    mantissa.erase(0, mantissa.find_first_not_of('0'));
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    return mantissa.size();
  };
  std::string best = fmt::format("{} s", time.count());
  for (const auto& [unit, per_second] : {std::pair("ms", 1e3), std::pair("us", 1e6)}) {
    const std::string text = fmt::format("{} {}", std::round(time.count() * per_second * 1e3) / 1e3, unit);
    if (digits(text) < digits(best) && parse_quantity(text, Dimension::kTime).value == time.count()) best = text;
  }
  return best;
}

}  // namespace headroom
