#include "sim/workload/trace_reader.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "sim/workload/text_file.h"
#include "sim/workload/time_stamp.h"

namespace headroom {

namespace {

constexpr double kMostTokens = 2147483647.0;
constexpr double kMostSeconds = 1e11;
constexpr std::size_t kMostLine = std::size_t{1} << 20;
constexpr std::uint64_t kMostBlockId = std::uint64_t{1} << 62;

class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);  // a byte order mark says nothing
  }
  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ++number_;
    return true;
  }
  std::int64_t number() const { return number_; }
  // The next character that is not white space; 0 at the end.
  char first_sign() const {
    const std::size_t at = rest_.find_first_not_of(" \t\r\n");
    return at == std::string_view::npos ? '\0' : rest_[at];
  }

 private:
  std::string_view rest_;
  std::int64_t number_ = 0;
};

void split(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  for (;;) {
    const std::size_t comma = line.find(',');
    std::string_view field = line.substr(0, comma);
    while (!field.empty() && (field.front() == ' ' || field.front() == '"')) field.remove_prefix(1);
    while (!field.empty() && (field.back() == ' ' || field.back() == '"')) field.remove_suffix(1);
    fields.push_back(field);
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
}

// Quotes what a file said, cut short and without control characters.
std::string quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text.substr(0, 40)) result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return result + (text.size() > 40 ? "...'" : "'");
}

class Reader {
 public:
  explicit Reader(const std::string& path, std::size_t enough = ~std::size_t{0})
      : path_(path), text_(read_text(path, enough)), lines_(text_) {}

  [[noreturn]] void fail(std::string_view message) const { throw WorkloadError(path_, lines_.number(), message); }
  bool next(std::string_view& line) {
    while (lines_.next(line)) {
      if (line.size() > kMostLine) fail("the line is longer than 1 MiB");
      if (!line.empty()) return true;
    }
    return false;
  }
  double number(std::string_view text, std::string_view what) const {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
      fail(std::string(what) + ": " + quoted(text) + " is not a number");
    return value;
  }
  std::int64_t tokens(double value, std::string_view what, std::int64_t least) const {
    if (!(value >= static_cast<double>(least) && value <= kMostTokens && value == std::floor(value)))
      fail(std::string(what) + ": expected a whole number of tokens, at least " + std::to_string(least) +
           " and at most 2147483647");
    return static_cast<std::int64_t>(value);
  }
  double arrival(double seconds) const {
    if (!(seconds >= 0 && seconds <= kMostSeconds)) fail("the arrival time is negative or above 1e11 s");
    return seconds;
  }
  std::uint64_t block_id(std::string_view text, std::string_view what) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > kMostBlockId)
      fail(std::string(what) + ": " + quoted(text) + " is not a block id; expected whole numbers with single spaces");
    return value;
  }
  bool looks_like_json() const { return lines_.first_sign() == '{'; }

 private:
  std::string path_;
  std::string text_;
  Lines lines_;
};

struct Row {
  double arrival = 0;
  std::int64_t prompt = 0;
  std::int64_t output = 0;
};

class Builder {
 public:
  Builder(const Reader& reader, std::int64_t block_tokens) : reader_(reader), block_(block_tokens) {}

  void add(const Row& row, std::span<const std::uint64_t> blocks) {
    Request r;
    r.arrival = Seconds{row.arrival};
    r.prompt_tokens = row.prompt;
    r.output_tokens = row.output;
    r.first_segment = static_cast<std::uint32_t>(result_.workload.segments.size());
    std::int64_t left = row.prompt;
    for (const std::uint64_t id : blocks) {
      if (left <= 0) break;  // the last block's hash may cover more than the prompt
      const std::int64_t tokens = std::min(left, block_);
      result_.workload.segments.push_back(ContentSegment{id + 1, tokens});
      left -= tokens;
    }
    r.num_segments = static_cast<std::uint32_t>(result_.workload.segments.size()) - r.first_segment;
    result_.workload.requests.push_back(r);
  }

  std::size_t size() const { return result_.workload.requests.size(); }

  TraceContent finish(bool has_arrivals) {
    std::vector<Request>& requests = result_.workload.requests;
    if (requests.empty()) reader_.fail("no requests in the trace");
    result_.has_arrivals = has_arrivals;
    if (has_arrivals) {
      std::stable_sort(requests.begin(), requests.end(),
                       [](const Request& a, const Request& b) { return a.arrival < b.arrival; });
      const Seconds origin = requests.front().arrival;
      for (Request& r : requests) r.arrival -= origin;
    }
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].id = RequestId{static_cast<std::uint32_t>(i)};
    return std::move(result_);
  }

 private:
  const Reader& reader_;
  std::int64_t block_;
  TraceContent result_;
};

constexpr std::size_t kAbsent = static_cast<std::size_t>(-1);

std::size_t column(std::span<const std::string_view> header, std::initializer_list<std::string_view> names) {
  for (std::size_t i = 0; i < header.size(); ++i)
    if (std::find(names.begin(), names.end(), header[i]) != names.end()) return i;
  return kAbsent;
}

TraceContent read_csv(Reader& reader, const TraceSpec& spec, std::int64_t limit) {
  std::string_view line;
  if (!reader.next(line)) reader.fail("the trace is empty");
  std::vector<std::string_view> header, fields;
  split(line, header);
  const std::size_t prompt = column(header, {"prompt_tokens", "ContextTokens", "Request tokens", "input_length"});
  const std::size_t output = column(header, {"output_tokens", "GeneratedTokens", "Response tokens", "output_length"});
  const std::size_t stamp = column(header, {"TIMESTAMP"});
  const std::size_t seconds = column(header, {"arrival_s", "Timestamp"});
  const std::size_t millis = column(header, {"arrival_ms"});
  const std::size_t ids = column(header, {"prefix_block_ids"});
  if (prompt == kAbsent) reader.fail("no column 'prompt_tokens' in the header");
  if (output == kAbsent) reader.fail("no column 'output_tokens' in the header");
  const bool has_arrivals = spec.format != TraceFormat::kShareGpt && std::min({stamp, seconds, millis}) != kAbsent;
  const bool needs = spec.format == TraceFormat::kAzure || spec.format == TraceFormat::kBurstGpt ||
                     spec.format == TraceFormat::kMooncake;
  if (needs && !has_arrivals) reader.fail("no column of arrival times in the header");
  Builder builder(reader, spec.block_tokens);
  std::vector<std::uint64_t> blocks;
  std::optional<std::chrono::sys_days> first_day;
  while ((limit == 0 || static_cast<std::int64_t>(builder.size()) < limit) && reader.next(line)) {
    split(line, fields);
    if (fields.size() != header.size())
      reader.fail("expected " + std::to_string(header.size()) + " columns, found " + std::to_string(fields.size()));
    Row row;
    row.prompt = reader.tokens(reader.number(fields[prompt], header[prompt]), header[prompt], 1);
    row.output = reader.tokens(reader.number(fields[output], header[output]), header[output],
                               spec.format == TraceFormat::kBurstGpt ? 0 : 1);
    if (row.output == 0) continue;  // BurstGPT: the request failed
    if (has_arrivals && stamp != kAbsent) {
      const auto time = parse_time_stamp(fields[stamp]);
      if (!time)
        reader.fail("TIMESTAMP: " + quoted(fields[stamp]) + " is no time; expected the form 2023-11-16 18:17:03.97");
      if (!first_day) first_day = time->day;
      row.arrival = seconds_since(*first_day, *time);
    } else if (has_arrivals) {
      row.arrival = reader.arrival(seconds != kAbsent ? reader.number(fields[seconds], header[seconds])
                                                      : reader.number(fields[millis], header[millis]) / 1000);
    }
    blocks.clear();
    if (ids != kAbsent) {
      std::string_view list = fields[ids];
      while (!list.empty()) {
        const std::size_t space = std::min(list.find(' '), list.size());
        blocks.push_back(reader.block_id(list.substr(0, space), header[ids]));
        list.remove_prefix(std::min(space + 1, list.size()));
      }
    }
    builder.add(row, blocks);
  }
  return builder.finish(has_arrivals);
}

TraceContent read_json_lines(Reader& reader, const TraceSpec& spec, std::int64_t limit) {
  Builder builder(reader, spec.block_tokens);
  std::string_view line;
  bool has_arrivals = false;
  std::vector<std::uint64_t> blocks;
  while ((limit == 0 || static_cast<std::int64_t>(builder.size()) < limit) && reader.next(line)) {
    const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) reader.fail("expected one JSON object a line");
    const auto number = [&](std::initializer_list<const char*> names) -> std::optional<double> {
      for (const char* name : names) {
        const auto it = object.find(name);
        if (it == object.end()) continue;
        if (!it->is_number()) reader.fail(std::string(name) + ": expected a number");
        return it->get<double>();
      }
      return std::nullopt;
    };
    const auto length = [&](const char* name, const char* published) {
      const auto value = number({name, published});
      if (!value) reader.fail(std::string("no '") + name + "' in the object");
      return reader.tokens(*value, name, 1);
    };
    Row row;
    row.prompt = length("prompt_tokens", "input_length");
    row.output = length("output_tokens", "output_length");
    const auto seconds = number({"arrival_s"});
    const auto millis = number({"arrival_ms", "timestamp"});
    const bool arrives = seconds || millis;
    if (!arrives && spec.format == TraceFormat::kMooncake) reader.fail("no 'timestamp' in the object");
    if (builder.size() > 0 && arrives != has_arrivals)
      reader.fail("some requests have an arrival time and some have none");
    has_arrivals = arrives;
    if (arrives) row.arrival = reader.arrival(seconds ? *seconds : *millis / 1000);
    blocks.clear();
    if (const auto ids = object.find("hash_ids"); ids != object.end()) {
      if (!ids->is_array()) reader.fail("hash_ids: expected a list");
      for (const auto& id : *ids) {
        if (!id.is_number_unsigned() || id.get<std::uint64_t>() > kMostBlockId)
          reader.fail("hash_ids: expected whole numbers from 0");
        blocks.push_back(id.get<std::uint64_t>());
      }
    }
    builder.add(row, blocks);
  }
  return builder.finish(has_arrivals);
}

}  // namespace

namespace {

TraceContent read_rows(Reader& reader, const TraceSpec& spec, std::int64_t limit) {
  const bool json = reader.looks_like_json();
  if (json && spec.format != TraceFormat::kMooncake && spec.format != TraceFormat::kJsonl)
    reader.fail("the file holds JSON lines; expected CSV with a header");
  if (!json && spec.format == TraceFormat::kJsonl) reader.fail("expected one JSON object a line");
  return json ? read_json_lines(reader, spec, limit) : read_csv(reader, spec, limit);
}

}  // namespace

TraceContent read_trace(const TraceSpec& spec, std::int64_t limit) {
  Reader reader(spec.path);
  return read_rows(reader, spec, limit);
}

bool trace_has_arrivals(const TraceSpec& spec) {
  Reader reader(spec.path, 2 * kMostLine);
  return read_rows(reader, spec, 1).has_arrivals;
}

std::vector<std::int64_t> read_length_column(const std::string& path, const std::string& name) {
  Reader reader(path);
  std::string_view line;
  if (!reader.next(line)) reader.fail("the file is empty");
  std::vector<std::string_view> header, fields;
  split(line, header);
  const std::size_t at = column(header, {name});
  if (at == kAbsent) reader.fail("no column '" + name + "' in the header");
  std::vector<std::int64_t> values;
  while (reader.next(line)) {
    split(line, fields);
    if (fields.size() <= at) reader.fail("the row ends before column '" + name + "'");
    values.push_back(reader.tokens(reader.number(fields[at], name), name, 1));
  }
  if (values.empty()) reader.fail("no rows below the header");
  return values;
}

}  // namespace headroom
