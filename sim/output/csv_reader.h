// Reads back the tables that write_requests_csv() and write_timeline_csv() write: numbers in named columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

// Columns of equal length. A field that is empty or no number is NaN; texts are kept for the columns asked for.
class RecordedTable {
 public:
  // Throws ConfigError at FILE:LINE when a row has not as many fields as the header, or a column of `needed` is
  // missing.
  static RecordedTable load(const std::string& file, const std::vector<std::string>& needed,
                            const std::string& text_column = "");

  std::size_t rows() const { return rows_; }
  // A column of `needed`.
  const std::vector<double>& operator[](std::string_view name) const;
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::size_t rows_ = 0;
  std::vector<std::string> names_;
  std::vector<std::vector<double>> columns_;
  std::vector<std::string> texts_;
};

}  // namespace headroom
