#include "sim/report/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"
#include "sim/engine/slo_bounds.h"
#include "sim/output/summary_json.h"
#include "sim/report/html.h"
#include "sim/report/metrics.h"

namespace headroom {
namespace {

constexpr std::size_t kMostInputs = 12;  // more than those are told by section
constexpr double kMostRequests = 3e6;    // of all simulations of a page
constexpr std::string_view kShown[] = {"throughput.output_tokens_per_s",
                                       "latency.ttft_s.p50",
                                       "latency.ttft_s.p99",
                                       "latency.tpot_s.p50",
                                       "memory.kv_pool_tokens",
                                       "cost.usd_per_million_output_tokens"};

// An input that two runs do not share. A section whose keys depend on each other (an engine under another preset, a
// workload of another kind) is one input.
struct ChangedInput {
  std::string path;          // "engine.block_size", or of a section "engine"
  std::string from, to;      // as texts; of a section what tells them apart
  RecordedSummary alone;     // the first run with this input of the second
  std::string problem = {};  // why there is none
};

// All by this program, whichever recorded them.
struct Attribution {
  RecordedSummary first, second;
  std::string problem;  // why nothing was simulated; empty: it was
};

std::string section_of(std::string_view path) {
  return std::string(path.substr(0, path.find_first_of(".[")));
}

// Paths of the scalars of either run, in order of appearance, without the run's name.
std::vector<std::string> paths_of(std::span<const Leaves> all) {
  std::vector<std::string> order;
  std::set<std::string_view> seen{"name"};
  for (const Leaves& leaves : all)
    for (const auto& [path, value] : leaves)
      if (seen.insert(path).second) order.push_back(path);
  return order;
}

bool has(const Leaves& leaves, std::string_view path) {
  return std::any_of(leaves.begin(), leaves.end(), [&](const auto& entry) { return entry.first == path; });
}

std::vector<ChangedInput> changed_inputs(const Leaves& a, const Leaves& b) {
  const Leaves both[] = {a, b};
  std::vector<std::string> differing;
  std::set<std::string> whole;  // sections that change as one
  for (const std::string& path : paths_of(both)) {
    if (leaf(a, path) == leaf(b, path) && has(a, path) == has(b, path)) continue;
    differing.push_back(path);
    if (!has(a, path) || !has(b, path) || path.ends_with(".preset") || path.find('[') != std::string::npos)
      whole.insert(section_of(path));
  }
  if (differing.size() > kMostInputs)
    for (const std::string& path : differing) whole.insert(section_of(path));
  std::vector<ChangedInput> inputs;
  std::set<std::string> told;
  for (const std::string& path : differing) {
    const std::string section = section_of(path);
    if (whole.count(section) == 0) {
      inputs.push_back({path, leaf(a, path), leaf(b, path), {}});
    } else if (told.insert(section).second) {
      const std::string kind = section + ".preset";
      const bool named = has(a, kind) && leaf(a, kind) != leaf(b, kind);
      inputs.push_back({section, named ? leaf(a, kind) : "", named ? leaf(b, kind) : "", {}});
    }
  }
  return inputs;
}

RecordedSummary simulated(const std::string& file, const LoadOptions& options, const std::string& version) {
  const Scenario s = load_scenario(file, options).variants.front().second;
  const RunResult run = simulate(s, workload_of(s));
  return parse_summary(summary_json(s, run, summarize(run, s.hardware, slo_bounds(s)), version), file);
}

Attribution attribute(const RecordedRun& first, const RecordedRun& second, std::vector<ChangedInput>& inputs) {
  Attribution out;
  const double work = first.summary.number("requests.submitted") * static_cast<double>(inputs.size() + 2);
  if (!(work <= kMostRequests)) {
    out.problem = fmt::format(
        "To see it, {} runs of {:.0f} requests would be needed; a page simulates no more than {:.0f} in all. Run the "
        "first scenario again with --set of one input.",
        inputs.size() + 2, first.summary.number("requests.submitted"), kMostRequests);
    return out;
  }
  const std::string file = first.folder + "/scenario.yaml", version = first.summary.text("simulator.version");
  try {
    const Map other = parse_yaml(second.scenario, second.folder + "/scenario.yaml").map();
    out.first = simulated(file, {}, version);
    out.second = simulated(second.folder + "/scenario.yaml", {}, version);
    for (ChangedInput& input : inputs) try {
        Map at = other;
        std::string_view rest = input.path;
        for (std::size_t dot; (dot = rest.find('.')) != std::string_view::npos; rest.remove_prefix(dot + 1))
          at = at.map(rest.substr(0, dot));
        LoadOptions options;
        const Value value = at.at(rest);
        options.layers.push_back(override_layer(input.path, value, value.pos()));
        input.alone = simulated(file, options, version);
      } catch (const ConfigError& error) {
        input.problem = error.what();
      }
  } catch (const std::exception& error) {
    out.problem = fmt::format("The runs could not be simulated again: {}", error.what());
  }
  return out;
}

// "+12 %", "3.4 times as much".
std::string change_text(double from, double to) {
  if (std::isnan(from) || std::isnan(to)) return "–";
  if (from == to) return "no change";
  if (from == 0) return "from zero";
  const double ratio = to / from;
  if (ratio > 2) return fmt::format("{:.3g} times as much", ratio);
  if (ratio < 0.5) return ratio > 0 ? fmt::format("{:.3g} times less", 1 / ratio) : "to zero";
  const double percent = 100 * (ratio - 1);
  return std::abs(percent) < 0.05 ? "below 0.1 %" : fmt::format("{:+.1f} %", percent);
}

std::vector<Cell> changes(const std::string& label, const RecordedSummary& from, const RecordedSummary& to) {
  std::vector<Cell> row{Cell{label, Cell::kNoValue, label}};
  for (const std::string_view path : kShown) {
    const double x = from.number(std::string(path)), y = to.number(std::string(path));
    const int verdict = std::isnan(x) || std::isnan(y) ? 0 : change_of(*metric_at(path), x, y).verdict;
    row.push_back({change_text(x, y), y / x - 1, "", verdict > 0 ? "better" : verdict < 0 ? "worse" : std::string()});
  }
  return row;
}

std::string code(const std::string& text) {
  return "<code>" + escaped(text) + "</code>";
}

std::string attribution_html(std::span<const RecordedRun> runs, std::span<const Leaves> leaves) {
  std::vector<ChangedInput> inputs = changed_inputs(leaves[0], leaves[1]);
  if (inputs.size() < 2) return "";
  const Attribution found = attribute(runs[0], runs[1], inputs);
  std::string out = "<h3>What each input does alone</h3>\n";
  if (!found.problem.empty()) return out + "<p>" + escaped(found.problem) + "</p>\n";
  out += fmt::format(
      "<p class=\"soft\">{} simulated again with one input of {} at a time, everything else as it was. Where the parts "
      "do not add up to the last row, the inputs work on each other.</p>\n",
      escaped(runs[0].name), escaped(runs[1].name));
  HtmlTable table;
  table.head = {"input"};
  for (const std::string_view path : kShown) table.head.emplace_back(metric_at(path)->label);
  for (const ChangedInput& input : inputs) {
    std::string label = code(input.path);
    if (!input.from.empty() || !input.to.empty())
      label += fmt::format(" {} → {}", escaped(input.from), escaped(input.to));
    if (input.problem.empty()) {
      table.rows.push_back(changes(label, found.first, input.alone));
    } else {
      std::vector<Cell> row(std::size(kShown) + 1, Cell{"–"});
      row[0] = Cell{label, Cell::kNoValue, label + "<br>not by itself: " + escaped(input.problem)};
      table.rows.push_back(std::move(row));
    }
  }
  table.rows.push_back(changes("<b>all of them</b>", found.first, found.second));
  table.sortable = false;
  return out + html_of(table);
}

}  // namespace

std::string leaf(const Leaves& leaves, std::string_view path) {
  for (const auto& [name, value] : leaves)
    if (name == path) return value;
  return "";
}

std::string inputs_html(std::span<const RecordedRun> runs, std::span<const Leaves> leaves) {
  HtmlTable table;
  table.head = {"input"};
  for (const RecordedRun& run : runs) table.head.push_back(run.name);
  bool preset = false;
  for (const std::string& path : paths_of(leaves)) {
    std::vector<Cell> row{Cell{path, Cell::kNoValue, code(path)}};
    bool same = true;
    for (const Leaves& one : leaves) {
      const std::string value = leaf(one, path);
      same = same && value == leaf(leaves.front(), path);
      row.push_back(Cell{value.empty() ? "–" : value});
    }
    if (same) continue;
    table.rows.push_back(std::move(row));
    preset = preset || path == "engine.preset";
  }
  const std::size_t n = table.rows.size();
  if (n == 0)
    return "<p>The resolved scenarios are the same, key by key: what differs below comes from files they name.</p>\n";
  std::string out =
      n == 1 ? fmt::format("<p>One input differs, {}: it alone moved every figure below.</p>\n", table.rows[0][0].html)
             : fmt::format("<p>{} inputs differ{}; together they moved the figures below.</p>\n", n,
                           preset ? ", most of them because the engine preset does" : "");
  out += n > 6 ? "<details><summary>The inputs that differ</summary>" + html_of(table, true) + "</details>\n"
               : html_of(table, true);
  if (runs.size() == 2 && n > 1) out += attribution_html(runs, leaves);
  return out;
}

}  // namespace headroom
