// Measured files in YAML: cases written out, and cases made from the rows of a table.
#include <fmt/format.h>

#include <filesystem>

#include "sim/config/catalogue.h"
#include "sim/config/scenario_reader.h"
#include "validate/compare/csv_table.h"
#include "validate/compare/measured_folder.h"
#include "validate/compare/measured_values.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

std::string file_beside(const Value& name) {
  const fs::path path = fs::path(name.pos().file).parent_path() / name.text();
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) name.fail(fmt::format("no file '{}' beside this one", name.text()));
  must_be_allowed(name, path.string());
  return path.string();
}

class MeasuredFile {
 public:
  explicit MeasuredFile(const std::string& file) : file_(file), map_(load_yaml(file).map()) {}

  std::vector<MeasuredCase> read() {
    common_.title = map_.at("measured").text();
    common_.source = map_.at("source").text();
    if (common_.source.empty()) map_.at("source").fail("an empty source");
    if (const auto part = map_.find("part")) common_.fitted = is_fit(*part);
    if (const auto note = map_.find("note")) common_.note = note->text();
    const Value base = map_.at("scenario");
    if (base.is_map())
      base_ = base;
    else
      base_ = load_yaml(scenario_file(base));
    const auto cases = map_.find("cases"), tables = map_.find("tables");
    if (!cases && !tables) map_.fail("expected 'cases' or 'tables'");
    if (cases) {
      const Map list = cases->map();
      for (const std::string& name : list.keys()) add_case(name, list.at(name).map());
    }
    if (tables)
      for (const Value& table : tables->items()) add_rows(table.map());
    map_.done();
    if (cases_.empty()) map_.fail("no case; expected at least one");
    return std::move(cases_);
  }

 private:
  static bool is_fit(const Value& part) {
    const std::string word = part.text();
    if (word != "fit" && word != "judge") part.fail(fmt::format("'{}' is no part; expected fit or judge", word));
    return word == "fit";
  }
  static std::string scenario_file(const Value& name) {
    const fs::path beside = fs::path(name.pos().file).parent_path() / name.text();
    std::error_code ignored;
    const std::string file = fs::is_regular_file(beside, ignored) ? beside.string() : name.text();
    must_be_allowed(name, file);
    return file;
  }

  // `map` has: scenario, note, metrics, requests, bench.
  void add_case(const std::string& name, const Map& map) {
    MeasuredCase c = common_;
    c.name = name;
    if (const auto note = map.find("note")) c.note = c.note.empty() ? note->text() : c.note + " " + note->text();
    LoadOptions options;
    if (const auto over = map.find("scenario")) options.parts.push_back(*over);
    ScenarioFile scenario = load_scenario(*base_, options);
    if (scenario.variants.size() != 1 || !scenario.variants.front().first.empty())
      base_->fail("a measured run has one engine; expected a scenario without variants");
    c.scenario = std::move(scenario.variants.front().second);
    MeasuredValues values;
    if (map.has("metrics")) values = values_of(map.map("metrics"));
    if (const auto file = map.find("requests")) values.merge(values_of_requests(file_beside(*file)));
    if (const auto file = map.find("bench")) values.merge(values_of_bench(file_beside(*file)));
    map.done();
    if (values.empty()) map.fail("nothing measured; expected metrics, requests or bench");
    c.values = in_order(values);
    cases_.push_back(std::move(c));
  }

  void add_rows(const Map& map) {
    const Value file = map.at("file");
    const CsvTable table(file_beside(file));
    std::vector<std::pair<std::size_t, std::string>> conditions;
    const Map where = map.map("where");
    for (const std::string& key : where.keys())
      conditions.emplace_back(column_of(table, key, where.at(key)), where.at(key).text());
    const Value name = map.at("name");
    // The rest of the section is one case's, with $columns.
    std::string text;
    for (const char* key : {"scenario", "metrics", "note"}) {
      const auto part = map.find(key);
      if (!part) continue;
      text += fmt::format("{}:", key);
      text += part->is_map() ? "\n" + text_of(part->map(), 2) : " " + part->text() + "\n";
    }
    map.done();
    std::size_t taken = 0;
    for (std::size_t row = 0; row < table.rows(); ++row) {
      bool meant = true;
      for (const auto& [column, word] : conditions) meant = meant && table.text(row, column) == word;
      if (!meant) continue;
      ++taken;
      // Named so that paths in it still start from this file's folder.
      const std::string place =
          fmt::format("{} ({}:{})", file_, fs::path(table.path()).filename().string(), table.line(row));
      add_case(filled(name.text(), table, row, name), parse_yaml(filled(text, table, row, file), place).map());
    }
    if (taken == 0) file.fail("no row of the table meets 'where'");
  }

  static std::size_t column_of(const CsvTable& table, const std::string& name, const Value& place) {
    if (const auto column = table.column(name)) return *column;
    const std::vector<std::string_view> known(table.header().begin(), table.header().end());
    place.fail(fmt::format("no column '{}' in {}{}", name, table.path(), suggestion(name, known)));
  }

  // `text` with each $column replaced by the row's value.
  static std::string filled(const std::string& text, const CsvTable& table, std::size_t row, const Value& place) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '$') {
        out += text[i];
        continue;
      }
      std::size_t end = i + 1;
      while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) ++end;
      out += table.text(row, column_of(table, text.substr(i + 1, end - i - 1), place));
      i = end - 1;
    }
    return out;
  }

  std::string file_;
  Map map_;
  MeasuredCase common_;
  std::optional<Value> base_;
  std::vector<MeasuredCase> cases_;
};

}  // namespace

std::vector<MeasuredCase> read_measured(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return MeasuredFile(path).read();
  const fs::path file = fs::path(path) / "measured.yaml";
  if (fs::is_regular_file(file, ignored)) return MeasuredFile(file.string()).read();
  return {read_run_folder(path)};
}

}  // namespace headroom
