#include "sim/config/kernel_tables.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "sim/workload/text_file.h"

namespace headroom {
namespace {

// What a kind of table is looked up by. The keys that `use` chooses rows by come first.
struct Columns {
  std::string_view dtype;  // empty: the table has none
  std::vector<std::string_view> keys;
};
Columns columns_of(TableKind kind) {
  using enum TableKind;
  switch (kind) {
    case kGemm:
      return {"dtype", {"m", "n", "k"}};
    case kDecodeAttention:
    case kUnequalDecode:
      return {"kv_dtype", {"q_heads", "kv_heads", "head_dim", "batch", "context_tokens"}};
    case kPrefillAttention:
      return {"kv_dtype", {"q_heads", "kv_heads", "head_dim", "batch", "new_tokens", "past_tokens"}};
    case kStreaming:
      break;
  }
  return {"", {"bytes"}};
}
constexpr std::string_view kTime = "time_us";
constexpr std::size_t kHeads = 3;  // keys of attention that say which heads: the first ones
// The public tables name no head size; theirs is 128.
constexpr std::string_view kHeadDim = "head_dim";
constexpr std::int64_t kPublicHeadDim = 128;

struct Row {
  DType dtype{};
  std::vector<std::int64_t> keys;  // in the order of Columns::keys
  double seconds = 0;
};

// Calls for each time in the text, in order.
class TableReader {
 public:
  TableReader(const std::string& path, Columns columns)
      : path_(path), text_(read_text(path)), columns_(std::move(columns)) {
    if (!next_line()) fail("the table is empty");
    std::vector<std::string_view> names;
    for (std::size_t i = 0; const auto name = field(i); ++i) names.push_back(*name);
    const auto find = [&](std::string_view column) -> std::optional<std::size_t> {
      const auto it = std::find(names.begin(), names.end(), column);
      if (it == names.end()) return std::nullopt;
      return static_cast<std::size_t>(it - names.begin());
    };
    const auto need = [&](std::string_view column) {
      const auto at = find(column);
      if (!at) fail("no column '" + std::string(column) + "' in the header");
      return *at;
    };
    find_curve(names);
    if (!columns_.dtype.empty()) dtype_at_ = need(columns_.dtype);
    for (std::size_t key = 0; key < columns_.keys.size(); ++key) {
      const bool given =
          (!curve_.empty() && key == curve_key_) || (columns_.keys[key] == kHeadDim && !find(columns_.keys[key]));
      keys_at_.push_back(given ? kAbsent : need(columns_.keys[key]));
    }
    if (curve_.empty()) curve_.push_back({need(kTime), 0});
  }

  // `chooses(row)` sees the dtype and the first `chosen_by` keys of a row; `take(row)` every time of those it chooses.
  template <class Chooses, class Take>
  void each(std::size_t chosen_by, Chooses chooses, Take take) {
    const bool curves = keys_at_[curve_key_] == kAbsent;
    const std::string_view times = curves ? columns_.keys[curve_key_] : kTime;
    if (curves && curve_key_ < chosen_by) fail("curves over '" + std::string(times) + "'; expected a row for each");
    Row row;
    row.keys.resize(keys_at_.size());
    while (next_line()) {
      if (!columns_.dtype.empty()) row.dtype = dtype_in(cell(dtype_at_, columns_.dtype));
      for (std::size_t key = 0; key < chosen_by; ++key) read_key(row, key);
      if (!chooses(row)) continue;
      for (std::size_t key = chosen_by; key < keys_at_.size(); ++key) read_key(row, key);
      for (const CurveCell& point : curve_) {
        const std::string_view text = cell(point.at, times);
        if (curves && text.empty()) continue;
        if (curves) row.keys[curve_key_] = point.value;
        row.seconds = number(text, times, true) * 1e-6;
        take(row);
      }
    }
  }

 private:
  static constexpr std::size_t kAbsent = ~std::size_t{0};
  struct CurveCell {
    std::size_t at;      // column
    std::int64_t value;  // of the key
  };

  [[noreturn]] void fail(const std::string& message) const { throw WorkloadError(path_, line_, message); }

  // Columns "KEY=NUMBER", all of one key.
  void find_curve(const std::vector<std::string_view>& names) {
    for (std::size_t at = 0; at < names.size(); ++at) {
      const std::size_t equals = names[at].find('=');
      const auto key = std::find(columns_.keys.begin(), columns_.keys.end(), names[at].substr(0, equals));
      if (equals == std::string_view::npos || key == columns_.keys.end()) continue;
      const auto index = static_cast<std::size_t>(key - columns_.keys.begin());
      if (!curve_.empty() && index != curve_key_)
        fail("curves over '" + std::string(columns_.keys[curve_key_]) + "' and over '" + std::string(*key) + "'");
      curve_key_ = index;
      curve_.push_back({at, static_cast<std::int64_t>(number(names[at].substr(equals + 1), *key, false))});
    }
  }

  void read_key(Row& row, std::size_t key) const {
    if (keys_at_[key] != kAbsent)
      row.keys[key] =
          static_cast<std::int64_t>(number(cell(keys_at_[key], columns_.keys[key]), columns_.keys[key], false));
    else if (columns_.keys[key] == kHeadDim)
      row.keys[key] = kPublicHeadDim;
  }
  DType dtype_in(std::string_view text) const {
    const auto dtype = dtype_named(text);
    if (!dtype) fail("no dtype '" + std::string(text.substr(0, 40)) + "'");
    return *dtype;
  }
  double number(std::string_view text, std::string_view column, bool above_zero) const {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0) || value > 1e15 ||
        (above_zero && value == 0))
      fail(std::string(column) + ": expected a number above zero");
    return value;
  }

  std::string_view cell(std::size_t i, std::string_view column) const {
    const auto text = field(i);
    if (!text) fail("the row ends before column '" + std::string(column) + "'");
    return *text;
  }
  // Of the line; split only as far as asked for, since most rows of a large table are of other heads.
  std::optional<std::string_view> field(std::size_t i) const {
    while (fields_.size() <= i) {
      if (split_ > line_text_.size()) return std::nullopt;
      const std::size_t comma = std::min(line_text_.find(',', split_), line_text_.size());
      fields_.push_back(line_text_.substr(split_, comma - split_));
      split_ = comma + 1;
    }
    return fields_[i];
  }
  bool next_line() {
    fields_.clear();
    split_ = 0;
    while (from_ < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', from_), text_.size());
      line_text_ = std::string_view(text_).substr(from_, end - from_);
      from_ = end + 1;
      ++line_;
      if (line_text_.ends_with('\r')) line_text_.remove_suffix(1);
      if (!line_text_.empty()) return true;
    }
    return false;
  }

  std::string path_;
  std::string text_;
  Columns columns_;
  std::size_t dtype_at_ = kAbsent;
  std::vector<std::size_t> keys_at_;  // columns by key; absent where the header says the value, or the kind of table
  std::vector<CurveCell> curve_;      // where the times are
  std::size_t curve_key_ = 0;
  std::string_view line_text_;
  mutable std::vector<std::string_view> fields_;
  mutable std::size_t split_ = 0;
  std::size_t from_ = 0;
  std::int64_t line_ = 0;
};

// Sorts points by their key and averages those that share it.
template <class Point, class Key>
void tidy(std::vector<Point>& points, Key key) {
  const auto before = [&](const Point& a, const Point& b) { return key(a) < key(b); };
  if (!std::is_sorted(points.begin(), points.end(), before)) std::stable_sort(points.begin(), points.end(), before);
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

// Appends to `tables` one for each type in the file; `point` makes a point of a row, `key` is what points are sorted
// by.
template <class Table, class Chooses, class Point, class Key>
void read_into(std::vector<Table>& tables, DType Table::*dtype, const TableFile& file, std::size_t chosen_by,
               Chooses chooses, Point point, Key key) {
  const std::size_t first = tables.size();
  TableReader(file.path, columns_of(file.kind)).each(chosen_by, chooses, [&](const Row& row) {
    table_of(tables, first, dtype, row.dtype, file.source).points.push_back(point(row));
  });
  for (std::size_t i = first; i < tables.size(); ++i) tidy(tables[i].points, key);
}

template <std::size_t N>
bool any(const std::array<bool, N>& of) {
  return std::find(of.begin(), of.end(), true) != of.end();
}

}  // namespace

void read_table(const TableFile& file, HardwareProfile& profile, const TableUse* use) {
  const auto attention = [&](const Row& row) {
    const AttentionHeads heads{row.keys[0], row.keys[1], row.keys[2]};
    return use == nullptr ||
           (use->attention_of(row.dtype) && std::find(use->heads.begin(), use->heads.end(), heads) != use->heads.end());
  };
  using enum TableKind;
  switch (file.kind) {
    case kGemm:
      if (use != nullptr && !any(use->gemm)) return;
      return read_into(
          profile.gemm_tables, &GemmTable::dtype, file, 0,
          [&](const Row& row) { return use == nullptr || use->gemms_of(row.dtype); },
          [](const Row& row) {
            return GemmTable::Point{row.keys[0], row.keys[1], row.keys[2], Seconds{row.seconds}};
          },
          [](const GemmTable::Point& p) { return std::tuple(p.n, p.k, p.m); });
    case kDecodeAttention:
    case kUnequalDecode:
      if (use != nullptr && !any(use->attention)) return;
      return read_into(
          file.kind == kDecodeAttention ? profile.decode_attention_tables : profile.unequal_decode_tables,
          &DecodeAttentionTable::kv_dtype, file, kHeads, attention,
          [](const Row& row) {
            return DecodeAttentionTable::Point{row.keys[2], row.keys[0], row.keys[1],
                                               row.keys[3], row.keys[4], Seconds{row.seconds}};
          },
          [](const DecodeAttentionTable::Point& p) {
            return std::tuple(p.head_dim, p.q_heads, p.kv_heads, p.batch, p.context);
          });
    case kPrefillAttention:
      if (use != nullptr && !any(use->attention)) return;
      return read_into(
          profile.prefill_attention_tables, &PrefillAttentionTable::kv_dtype, file, kHeads, attention,
          [](const Row& row) {
            return PrefillAttentionTable::Point{row.keys[2], row.keys[0], row.keys[1],         row.keys[3],
                                                row.keys[4], row.keys[5], Seconds{row.seconds}};
          },
          [](const PrefillAttentionTable::Point& p) {
            return std::tuple(p.head_dim, p.q_heads, p.kv_heads, p.batch, p.past, p.new_tokens);
          });
    case kStreaming:
      if (use != nullptr && !use->streaming) return;
      StreamingTable& table = profile.streaming_table.emplace();
      table.source = file.source;
      TableReader(file.path, columns_of(file.kind))
          .each(
              0, [](const Row&) { return true; },
              [&](const Row& row) {
                table.points.push_back({row.keys[0], Seconds{row.seconds}});
              });
      return tidy(table.points, [](const StreamingTable::Point& p) { return p.bytes; });
  }
}

void copy_tables(const HardwareProfile& from, HardwareProfile& to) {
  to.gemm_tables = from.gemm_tables;
  to.decode_attention_tables = from.decode_attention_tables;
  to.unequal_decode_tables = from.unequal_decode_tables;
  to.prefill_attention_tables = from.prefill_attention_tables;
  to.streaming_table = from.streaming_table;
}

}  // namespace headroom
