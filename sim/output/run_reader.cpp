#include "sim/output/run_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "sim/config/reader.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t kMostBytes = 16 << 20;
constexpr int kMostDepth = 32;

std::string text_of_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw ConfigError({file, 0, 0}, "cannot be opened; expected a folder that 'headroom run --out' wrote");
  std::string text(kMostBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMostBytes) throw ConfigError({file, 0, 0}, "larger than 16 MiB; expected what a run wrote");
  return text;
}

Json parsed(const std::string& text, const std::string& file) {
  const auto within = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMostDepth) throw ConfigError({file, 0, 0}, "nested more than 32 levels deep");
    return true;
  };
  try {
    return Json::parse(text, within);
  } catch (const Json::parse_error& error) {
    throw ConfigError({file, 0, 0}, fmt::format("not JSON from byte {} on; expected a whole summary", error.byte));
  } catch (const Json::out_of_range&) {
    throw ConfigError({file, 0, 0}, "holds a number beyond 1.8e308; expected a whole summary");
  }
}

void flatten(const Json& value, const std::string& path, RecordedSummary& out) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) flatten(inner, path.empty() ? key : path + "." + key, out);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) flatten(value[i], fmt::format("{}.{}", path, i), out);
  } else if (value.is_number()) {
    out.numbers[path] = value.get<double>();
  } else if (value.is_string()) {
    out.texts[path] = value.get<std::string>();
  }
}

RecordedRun read_run(const fs::path& folder) {
  RecordedRun run;
  const auto file = [&](const char* name) { return (folder / name).string(); };
  fs::path named = folder.lexically_normal();
  if (named.filename().empty()) named = named.parent_path();
  run.name = named.filename().string();
  run.folder = folder.string();
  run.summary = parse_summary(text_of_file(file("summary.json")), file("summary.json"));
  run.scenario = text_of_file(file("scenario.yaml"));
  if (!run.scenario.ends_with('\n')) throw ConfigError({file("scenario.yaml"), 0, 0}, "is cut off within a line");
  if (const auto samples = parse_yaml(run.scenario, file("scenario.yaml")).map().map("workload").find("samples"))
    run.samples = samples->integer(1, 1'000'000);
  run.requests = RecordedTable::load(file("requests.csv"),
                                     {"id", "arrival_s", "scheduled_s", "first_token_s", "finish_s", "prompt_tokens",
                                      "output_tokens", "cached_tokens", "preemptions"},
                                     "status");
  run.timeline =
      RecordedTable::load(file("timeline.csv"), {"time_s", "replica", "token_states", "reservation", "internal",
                                                 "external", "padding", "cached", "free", "running", "waiting"});
  return run;
}

}  // namespace

double RecordedSummary::number(const std::string& path) const {
  const auto at = numbers.find(path);
  return at != numbers.end() ? at->second : std::numeric_limits<double>::quiet_NaN();
}

std::string RecordedSummary::text(const std::string& path) const {
  const auto at = texts.find(path);
  return at != texts.end() ? at->second : std::string();
}

RecordedSummary parse_summary(const std::string& text, const std::string& file) {
  RecordedSummary summary;
  flatten(parsed(text, file), "", summary);
  for (const char* path : {"duration_s", "requests.submitted", "latency.ttft_s.p99", "memory.kv_pool_tokens"})
    if (std::isnan(summary.number(path)))
      throw ConfigError({file, 0, 0}, fmt::format("no field '{}'; expected the summary of a run", path));
  return summary;
}

std::vector<RecordedRun> read_runs(const std::string& folder) {
  std::error_code problem;
  if (!fs::is_directory(folder, problem)) throw ConfigError({folder, 0, 0}, "no such folder");
  if (fs::exists(fs::path(folder) / "summary.json", problem)) return {read_run(folder)};
  std::vector<fs::path> parts;
  for (const auto& entry : fs::directory_iterator(folder))
    if (fs::exists(entry.path() / "summary.json", problem)) parts.push_back(entry.path());
  std::sort(parts.begin(), parts.end());
  if (parts.empty())
    throw ConfigError({folder, 0, 0},
                      "no summary.json in it or in its folders; expected what 'headroom run --out' wrote");
  std::vector<RecordedRun> runs;
  for (const fs::path& part : parts) runs.push_back(read_run(part));
  return runs;
}

}  // namespace headroom
