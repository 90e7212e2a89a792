#include "validate/compare/csv_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/config/quantity.h"
#include "sim/workload/text_file.h"

namespace headroom {
namespace {

constexpr std::size_t kMostLine = std::size_t{1} << 20;

// Commas inside quotes stay; a doubled quote inside quotes is one. None: a quote is never closed.
std::optional<std::vector<std::string>> fields_of(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"')
        fields.back() += line[i++];
      else
        quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += line[i];
    }
  }
  if (quoted) return std::nullopt;
  return fields;
}

}  // namespace

CsvTable::CsvTable(const std::string& path) : path_(path) {
  const std::string text = read_text(path);
  std::string_view rest = text;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (line.size() > kMostLine) fail(number, "the line is longer than 1 MiB");
    auto fields = fields_of(line);
    if (!fields) fail(number, "a quote is not closed on its line");
    if (header_.empty()) {
      header_ = std::move(*fields);
      continue;
    }
    if (fields->size() != header_.size())
      fail(number, fmt::format("expected {} columns, found {}", header_.size(), fields->size()));
    rows_.push_back({number, std::move(*fields)});
  }
  if (rows_.empty()) throw WorkloadError(path, 0, "no rows; expected a header and at least one");
}

std::optional<std::size_t> CsvTable::column(std::string_view name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  if (found == header_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header_.begin());
}

double CsvTable::number(std::size_t row, std::size_t column) const {
  const std::string& field = text(row, column);
  const auto value = parse_number(field);
  if (!value) fail(line(row), fmt::format("{}: '{}' is no number", header_[column], field.substr(0, 40)));
  return *value;
}

void CsvTable::fail(std::int64_t line, std::string_view message) const {
  throw WorkloadError(path_, line, message);
}

}  // namespace headroom
