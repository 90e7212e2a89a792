#include "sim/report/provenance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "sim/config/catalogue.h"
#include "sim/config/scenario_reader.h"

namespace headroom {
namespace {

std::string scenario_file(const RecordedRun& run) {
  return run.folder + "/scenario.yaml";
}

// Profiles say "Assumed" in the source of what nobody measured or published.
bool assumed(std::string source) {
  std::transform(source.begin(), source.end(), source.begin(), [](unsigned char c) { return std::tolower(c); });
  return source.find("assumed") != std::string::npos;
}

void add_facts(const Map& map, const std::string& prefix, Provenance& out) {
  for (const std::string& key : map.keys()) {
    const Value entry = map.at(key);
    if (!entry.is_map()) continue;
    const Map fact = entry.map();
    if (!fact.has("value")) {
      add_facts(fact, prefix + key + ".", out);
      continue;
    }
    const std::string source = fact.at("source").text();
    const auto evidence = fact.find("evidence");
    out.facts.push_back({prefix + key, fact.at("value").text(),
                         evidence          ? evidence->text()
                         : assumed(source) ? "assumed"
                                           : out.evidence,
                         source});
  }
}

}  // namespace

Provenance provenance_of(const RecordedRun& run) {
  Provenance out;
  try {
    const Map scenario = parse_yaml(run.scenario, scenario_file(run)).map();
    const Map profile = load_yaml(catalogue_file("hardware", scenario.at("hardware"))).map();
    out.evidence = profile.at("evidence").text();
    out.source = profile.at("source").text();
    add_facts(profile, "", out);
    if (const auto tables = profile.find("tables"))
      for (const Value& item : tables->items()) {
        const Map table = item.map();
        out.facts.push_back({"table: " + table.at("kind").text(), table.at("file").text(), table.at("evidence").text(),
                             table.at("source").text()});
      }
    out.device = profile.at("device").text();
  } catch (const ConfigError& error) {
    out.problem = error.what();
  }
  return out;
}

std::string state_of_inputs(const RecordedRun& run) {
  try {
    const Scenario now = load_scenario(scenario_file(run)).variants.front().second;
    return now.sha256 == run.summary.text("scenario.sha256")
               ? "Model, hardware profile and trace are byte for byte those the run was made with."
               : "The model, the hardware profile or the trace has changed since the run was made: the sources below "
                 "are today's, and a new run would differ.";
  } catch (const std::exception& error) {
    return fmt::format("Whether model, profile and trace are still those of the run could not be checked: {}",
                       error.what());
  }
}

std::vector<std::pair<std::string, std::string>> scenario_leaves(const RecordedRun& run) {
  return leaves_of(parse_yaml(run.scenario, scenario_file(run)));
}

}  // namespace headroom
