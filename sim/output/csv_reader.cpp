#include "sim/output/csv_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <stdexcept>

#include "sim/config/errors.h"

namespace headroom {
namespace {

std::vector<std::string_view> fields_of(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::vector<std::string_view> fields;
  for (;;) {
    const std::size_t comma = line.find(',');
    fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return fields;
    line.remove_prefix(comma + 1);
  }
}

double number_of(std::string_view text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc{} && end == text.data() + text.size() ? value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

RecordedTable RecordedTable::load(const std::string& file, const std::vector<std::string>& needed,
                                  const std::string& text_column) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw ConfigError({file, 0, 0}, "cannot be opened");
  RecordedTable table;
  std::string line;
  std::getline(stream, line);
  for (const std::string_view name : fields_of(line)) table.names_.emplace_back(name);
  for (const std::string& name : needed)
    if (std::find(table.names_.begin(), table.names_.end(), name) == table.names_.end())
      throw ConfigError({file, 1, 1}, fmt::format("no column '{}'", name));
  table.columns_.resize(table.names_.size());
  while (std::getline(stream, line)) {
    const std::vector<std::string_view> fields = fields_of(line);
    ++table.rows_;
    if (fields.size() != table.names_.size() || stream.eof())
      throw ConfigError({file, static_cast<int>(table.rows_) + 1, 1},
                        fmt::format("the row is cut off; expected {} fields and an end of line", table.names_.size()));
    for (std::size_t i = 0; i < fields.size(); ++i) {
      table.columns_[i].push_back(number_of(fields[i]));
      if (table.names_[i] == text_column) table.texts_.emplace_back(fields[i]);
    }
  }
  return table;
}

const std::vector<double>& RecordedTable::operator[](std::string_view name) const {
  const auto at = std::find(names_.begin(), names_.end(), name);
  if (at == names_.end()) throw std::logic_error(fmt::format("column '{}' was not asked for", name));
  return columns_[static_cast<std::size_t>(at - names_.begin())];
}

}  // namespace headroom
