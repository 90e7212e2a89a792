#include "validate/microbench/measured.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sim/workload/text_file.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

const std::array kFamilies{
    FamilyEntry{Family::kGemm, "gemm", "dtype", {"m", "n", "k"}},
    FamilyEntry{
        Family::kDecodeAttention, "decode", "kv_dtype", {"head_dim", "q_heads", "kv_heads", "batch", "context_tokens"}},
    FamilyEntry{Family::kUnequalDecode,
                "unequal-decode",
                "kv_dtype",
                {"head_dim", "q_heads", "kv_heads", "batch", "context_tokens"}},
    FamilyEntry{Family::kDecodeLayout,
                "decode-layout",
                "kv_dtype",
                {"head_dim", "q_heads", "kv_heads", "batch", "context_tokens", "block_size"}},
    FamilyEntry{Family::kPrefillAttention,
                "prefill",
                "kv_dtype",
                {"head_dim", "q_heads", "kv_heads", "batch", "new_tokens", "past_tokens"}},
    FamilyEntry{Family::kEagerAttention,
                "eager-prefill",
                "kv_dtype",
                {"head_dim", "q_heads", "kv_heads", "batch", "new_tokens", "past_tokens"}},
    FamilyEntry{Family::kStreaming, "streaming", "kernel", {"bytes"}},
    FamilyEntry{Family::kSampling, "sampling", "dtype", {"rows", "vocabulary"}},
    FamilyEntry{Family::kHostCopy, "host-copy", "direction", {"bytes", "pieces"}},
    FamilyEntry{Family::kOverhead, "overhead", "what", {"kernels"}},
    FamilyEntry{Family::kCollective, "collective", "operation", {"gpus", "bytes"}},
};

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

template <class T>
T number_in(std::string_view text, const std::string& path, std::int64_t line) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw WorkloadError(path, line, "expected a number, found '" + std::string(text.substr(0, 40)) + "'");
  return value;
}

}  // namespace

std::span<const FamilyEntry> families() {
  return kFamilies;
}
const FamilyEntry& entry_of(Family family) {
  return kFamilies[static_cast<std::size_t>(family)];
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void summarize_samples(std::vector<double> samples, MeasuredPoint& point) {
  std::sort(samples.begin(), samples.end());
  point.seconds = quantile(samples, 0.5);
  point.spread = (quantile(samples, 0.75) - quantile(samples, 0.25)) / point.seconds;
  point.repetitions = static_cast<std::int64_t>(samples.size());
}

std::string table_csv(Family family, std::span<const MeasuredPoint> points) {
  const FamilyEntry& entry = entry_of(family);
  std::string text(entry.label);
  for (const std::string_view column : entry.columns) text += fmt::format(",{}", column);
  text += ",time_us,spread_pct,repetitions\n";
  for (const MeasuredPoint& p : points) {
    if (p.family != family) continue;
    text += p.label;
    for (const std::int64_t k : p.key) text += fmt::format(",{}", k);
    text += fmt::format(",{:.5g},{:.2g},{}\n", p.seconds * 1e6, p.spread * 100, p.repetitions);
  }
  return text;
}

std::vector<MeasuredPoint> read_table(Family family, const std::string& path) {
  const std::string text = read_text(path);
  const std::size_t keys = entry_of(family).columns.size();
  std::vector<MeasuredPoint> points;
  std::int64_t line_number = 0;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    std::string_view line(text.data() + from, end - from);
    from = end + 1;
    if (++line_number == 1) {
      if (line != std::string_view(table_csv(family, {})).substr(0, line.size()))
        throw WorkloadError(path, 1, "not the header of a table of this kind");
      continue;
    }
    std::vector<std::string_view> fields;
    while (true) {
      const std::size_t comma = line.find(',');
      fields.push_back(line.substr(0, comma));
      if (comma == std::string_view::npos) break;
      line.remove_prefix(comma + 1);
    }
    if (fields.size() != keys + 4) throw WorkloadError(path, line_number, "the row has a wrong number of columns");
    MeasuredPoint p;
    p.family = family;
    p.label = fields[0];
    for (std::size_t i = 1; i <= keys; ++i) p.key.push_back(number_in<std::int64_t>(fields[i], path, line_number));
    p.seconds = number_in<double>(fields[keys + 1], path, line_number) * 1e-6;
    p.spread = number_in<double>(fields[keys + 2], path, line_number) / 100;
    p.repetitions = number_in<std::int64_t>(fields[keys + 3], path, line_number);
    points.push_back(p);
  }
  return points;
}

}  // namespace headroom
