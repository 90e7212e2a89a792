#include "sim/config/kernel_tables.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <tuple>
#include <vector>

#include "sim/workload/text_file.h"

namespace headroom {
namespace {

// A column that a header may lack, and what it then counts as.
struct Default {
  std::string_view column;
  std::int64_t value = 0;
};

// Rows of the wanted columns: a dtype's name (where a column ends in "dtype"), the time last, and whole numbers.
class TableReader {
 public:
  TableReader(const std::string& path, std::vector<std::string_view> columns, Default fallback = {})
      : path_(path), text_(read_text(path)), columns_(std::move(columns)), fallback_(fallback) {
    std::string_view header;
    if (!next_line(header)) fail("the table is empty");
    std::vector<std::string_view> names;
    split(header, names);
    for (const std::string_view column : columns_) {
      const auto it = std::find(names.begin(), names.end(), column);
      if (it == names.end() && column == fallback_.column) {
        at_.push_back(kAbsent);
        continue;
      }
      if (it == names.end()) fail("no column '" + std::string(column) + "' in the header");
      at_.push_back(static_cast<std::size_t>(it - names.begin()));
    }
  }

  struct Row {
    DType dtype{};
    std::vector<std::int64_t> keys;
    double seconds;
  };
  bool next(Row& row) {
    std::string_view line;
    if (!next_line(line)) return false;
    split(line, fields_);
    row.keys.clear();
    for (std::size_t c = 0; c < at_.size(); ++c) {
      if (at_[c] == kAbsent) {
        row.keys.push_back(fallback_.value);
        continue;
      }
      if (at_[c] >= fields_.size()) fail("the row ends before column '" + std::string(columns_[c]) + "'");
      const std::string_view field = fields_[at_[c]];
      if (columns_[c].ends_with("dtype")) {
        const auto dtype = dtype_named(field);
        if (!dtype) fail("no dtype '" + std::string(field.substr(0, 40)) + "'");
        row.dtype = *dtype;
        continue;
      }
      double value = 0;
      const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
      const bool last = c + 1 == at_.size();
      if (error != std::errc{} || end != field.data() + field.size() || !(value >= 0) || value > 1e15 ||
          (last && value == 0))
        fail(std::string(columns_[c]) + ": expected a number above zero");
      if (last) {
        row.seconds = value * 1e-6;
      } else {
        row.keys.push_back(static_cast<std::int64_t>(value));
      }
    }
    return true;
  }

 private:
  static constexpr std::size_t kAbsent = ~std::size_t{0};
  [[noreturn]] void fail(const std::string& message) const { throw WorkloadError(path_, line_, message); }
  bool next_line(std::string_view& line) {
    while (from_ < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', from_), text_.size());
      line = std::string_view(text_).substr(from_, end - from_);
      from_ = end + 1;
      ++line_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) return true;
    }
    return false;
  }
  static void split(std::string_view line, std::vector<std::string_view>& fields) {
    fields.clear();
    for (std::size_t from = 0; from <= line.size();) {
      const std::size_t comma = std::min(line.find(',', from), line.size());
      fields.push_back(line.substr(from, comma - from));
      from = comma + 1;
    }
  }

  std::string path_;
  std::string text_;
  std::vector<std::string_view> columns_;
  Default fallback_;
  std::vector<std::size_t> at_;
  std::vector<std::string_view> fields_;
  std::size_t from_ = 0;
  std::int64_t line_ = 0;
};

// Sorts points by their key and averages those that share it.
template <class Point, class Key>
void tidy(std::vector<Point>& points, Key key) {
  std::stable_sort(points.begin(), points.end(), [&](const Point& a, const Point& b) { return key(a) < key(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < points.size();) {
    std::size_t j = i;
    double sum = 0;
    for (; j < points.size() && key(points[j]) == key(points[i]); ++j) sum += points[j].time.count();
    points[kept] = points[i];
    points[kept++].time = Seconds{sum / static_cast<double>(j - i)};
    i = j;
  }
  points.resize(kept);
}

// The public tables name no head size; theirs is 128.
constexpr Default kPublicHeadDim{"head_dim", 128};

template <class Table>
Table& table_of(std::vector<Table>& tables, std::size_t first, DType Table::*member, DType dtype,
                const Source& source) {
  for (std::size_t i = first; i < tables.size(); ++i)
    if (tables[i].*member == dtype) return tables[i];
  tables.emplace_back();
  tables.back().*member = dtype;
  tables.back().source = source;
  return tables.back();
}

}  // namespace

void read_gemm_table(const std::string& path, const Source& source, HardwareProfile& profile) {
  TableReader reader(path, {"dtype", "m", "n", "k", "time_us"});
  const std::size_t first = profile.gemm_tables.size();
  for (TableReader::Row row; reader.next(row);)
    table_of(profile.gemm_tables, first, &GemmTable::dtype, row.dtype, source)
        .points.push_back({row.keys[0], row.keys[1], row.keys[2], Seconds{row.seconds}});
  for (std::size_t i = first; i < profile.gemm_tables.size(); ++i)
    tidy(profile.gemm_tables[i].points, [](const GemmTable::Point& p) { return std::tuple(p.n, p.k, p.m); });
}

void read_decode_table(const std::string& path, const Source& source, HardwareProfile& profile) {
  TableReader reader(path, {"kv_dtype", "head_dim", "q_heads", "kv_heads", "batch", "context_tokens", "time_us"},
                     kPublicHeadDim);
  const std::size_t first = profile.decode_attention_tables.size();
  for (TableReader::Row row; reader.next(row);)
    table_of(profile.decode_attention_tables, first, &DecodeAttentionTable::kv_dtype, row.dtype, source)
        .points.push_back({row.keys[0], row.keys[1], row.keys[2], row.keys[3], row.keys[4], Seconds{row.seconds}});
  for (std::size_t i = first; i < profile.decode_attention_tables.size(); ++i)
    tidy(profile.decode_attention_tables[i].points, [](const DecodeAttentionTable::Point& p) {
      return std::tuple(p.head_dim, p.q_heads, p.kv_heads, p.batch, p.context);
    });
}

void read_prefill_table(const std::string& path, const Source& source, HardwareProfile& profile) {
  TableReader reader(path,
                     {"kv_dtype", "head_dim", "q_heads", "kv_heads", "batch", "new_tokens", "past_tokens", "time_us"},
                     kPublicHeadDim);
  const std::size_t first = profile.prefill_attention_tables.size();
  for (TableReader::Row row; reader.next(row);)
    table_of(profile.prefill_attention_tables, first, &PrefillAttentionTable::kv_dtype, row.dtype, source)
        .points.push_back(
            {row.keys[0], row.keys[1], row.keys[2], row.keys[3], row.keys[4], row.keys[5], Seconds{row.seconds}});
  for (std::size_t i = first; i < profile.prefill_attention_tables.size(); ++i)
    tidy(profile.prefill_attention_tables[i].points, [](const PrefillAttentionTable::Point& p) {
      return std::tuple(p.head_dim, p.q_heads, p.kv_heads, p.batch, p.past, p.new_tokens);
    });
}

void read_streaming_table(const std::string& path, const Source& source, HardwareProfile& profile) {
  TableReader reader(path, {"bytes", "time_us"});
  StreamingTable& table = profile.streaming_table.emplace();
  table.source = source;
  for (TableReader::Row row; reader.next(row);) table.points.push_back({row.keys[0], Seconds{row.seconds}});
  tidy(table.points, [](const StreamingTable::Point& p) { return p.bytes; });
}

}  // namespace headroom
