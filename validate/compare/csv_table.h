// A CSV file with a header, gzip or not, as rows of text that know their line. Fields may be quoted; no line breaks
// inside them. Throws WorkloadError with file and line; limit: 1 GiB (sim/workload/text_file.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

class CsvTable {
 public:
  explicit CsvTable(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<std::string>& header() const { return header_; }
  std::size_t rows() const { return rows_.size(); }
  std::int64_t line(std::size_t row) const { return rows_[row].line; }
  std::optional<std::size_t> column(std::string_view name) const;
  const std::string& text(std::size_t row, std::size_t column) const { return rows_[row].fields[column]; }
  // A finite number; anything else is an error at the row's line.
  double number(std::size_t row, std::size_t column) const;
  [[noreturn]] void fail(std::int64_t line, std::string_view message) const;

 private:
  struct Row {
    std::int64_t line = 0;
    std::vector<std::string> fields;
  };
  std::string path_;
  std::vector<std::string> header_;
  std::vector<Row> rows_;
};

}  // namespace headroom
