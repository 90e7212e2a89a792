// headroom run: one scenario, or the same requests under each of its variants.
#include <filesystem>
#include <iostream>
#include <memory>

#include "sim/commands/scenario_options.h"
#include "sim/config/scenario_derive.h"
#include "sim/engine/intervals.h"
#include "sim/engine/simulation.h"
#include "sim/engine/slo_bounds.h"
#include "sim/engine/step_record.h"
#include "sim/output/csv.h"
#include "sim/output/files.h"
#include "sim/output/measure_text.h"
#include "sim/output/perfetto.h"
#include "sim/output/progress.h"
#include "sim/output/summary_json.h"
#include "sim/output/tables.h"
#include "sim/output/vllm_bench.h"
#include "sim/version.h"

namespace headroom {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

// FILE for a run without variants; FILE with the variant's name before its ending otherwise.
std::string file_of_variant(const std::string& file, const std::string& variant) {
  if (variant.empty()) return file;
  const fs::path path(file);
  return (path.parent_path() / (path.stem().string() + "." + variant + path.extension().string())).string();
}

struct Outputs {
  std::string folder;  // empty: none
  const ReplayRunner* replay = nullptr;
  std::string trace;
  std::string vllm_bench;
};

void write_outputs(const Outputs& out, const std::string& variant, const Scenario& s, const RunResult& run,
                   const Summary& summary, const Intervals& intervals) {
  if (!out.folder.empty()) {
    const std::string folder = variant.empty() ? out.folder : (fs::path(out.folder) / variant).string();
    make_folder(folder);
    write_requests_csv(folder + "/requests.csv", run);
    write_timeline_csv(folder + "/timeline.csv", run);
    write_text_file(folder + "/scenario.yaml", s.resolved);
    if (out.replay != nullptr) write_gzip_file(folder + "/steps-compared.csv.gz", out.replay->comparison_csv());
    write_text_file(folder + "/summary.json",
                    summary_json(s, run, summary, kVersion, intervals));  // last: its presence means all is there
  }
  if (!out.trace.empty()) write_perfetto(file_of_variant(out.trace, variant), s, run);
  if (!out.vllm_bench.empty()) write_vllm_bench(file_of_variant(out.vllm_bench, variant), s, run, summary);
}

void add_options(po::options_description_easy_init add) {
  add_scenario_options(add);
  const auto text = [] { return po::value<std::string>(); };
  add("out", text(), "folder for summary.json, requests.csv, timeline.csv and the resolved scenario");
  add("json", po::bool_switch(), "print summary.json instead of the table");
  add("trace", text(), "write a Chrome/Perfetto trace");
  add("vllm-bench", text(), "write what vLLM's benchmark client writes");
  add("intervals", po::bool_switch(), "how far the truth may lie from each number: 20 more runs with errors drawn");
  add("export-workload", text(), "write the requests as CSV; reads back as a trace");
  add("timeline", text()->default_value("thin"),
      "thin: at most 3,000 rows, every extreme kept; full: one row per change");
  add("step-by-step", po::bool_switch(), "simulate every step on its own; same results, slower");
  add("replay-steps", text(),
      "steps.csv.gz of an executed run of this scenario: steps take the times recorded there; with --out, "
      "steps-compared.csv.gz has the predicted ones beside them");
  add("quiet", po::bool_switch(), "no table and no progress bar");
}

int run(const Values& values, const Words& operands) {
  const std::string timeline = text_of(values, "timeline");
  if (timeline != "thin" && timeline != "full") throw po::error("--timeline: expected thin or full");
  const bool json = values["json"].as<bool>(), quiet = values["quiet"].as<bool>();

  const ScenarioFile file = load_scenario(only_scenario(operands), load_options(values));
  Outputs out{text_of(values, "out"), nullptr, text_of(values, "trace"), text_of(values, "vllm-bench")};
  const Workload workload = workload_of(file.variants.front().second);
  if (const std::string path = text_of(values, "export-workload"); !path.empty()) write_workload_csv(path, workload);

  std::unique_ptr<StepTimeModel> cost;
  std::unique_ptr<ReplayRunner> replay;
  if (const std::string path = text_of(values, "replay-steps"); !path.empty()) {
    const Scenario& scenario = file.variants.front().second;
    if (file.variants.size() > 1 || scenario.cluster.replicas > 1 || values["intervals"].as<bool>())
      throw po::error("--replay-steps: a record is of one replica and one variant, and has no intervals");
    cost = std::make_unique<StepTimeModel>(scenario.model, scenario.hardware, step_time_options(scenario));
    replay = std::make_unique<ReplayRunner>(path, *cost);
    out.replay = replay.get();
  }

  std::vector<RunResult> runs;
  std::vector<Summary> summaries;
  std::vector<VariantResult> columns;
  std::vector<VariantIntervals> intervals;
  runs.reserve(file.variants.size());
  summaries.reserve(file.variants.size());
  for (const auto& [name, scenario] : file.variants) {
    SimulationOptions options;
    options.step_by_step = values["step-by-step"].as<bool>();
    options.full_timeline = timeline == "full";
    options.trace = !out.trace.empty();
    options.runner = replay.get();
    Progress progress(name, !quiet && stderr_is_terminal());
    options.progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); };
    runs.push_back(simulate(scenario, workload, options));
    progress.finish();
    if (replay) replay->finish();
    summaries.push_back(summarize(runs.back(), scenario.hardware, slo_bounds(scenario)));
    intervals.push_back(VariantIntervals{name, {}});
    if (values["intervals"].as<bool>()) {
      Progress draws(name + " intervals", !quiet && stderr_is_terminal());
      intervals.back().intervals = simulate_intervals(
          scenario, [&](int done) { draws.update(static_cast<std::size_t>(done), std::size_t{kDraws}); });
      draws.finish();
    }
    write_outputs(out, name, scenario, runs.back(), summaries.back(), intervals.back().intervals);
    columns.push_back(VariantResult{name, &scenario, &runs.back(), &summaries.back()});
  }
  if (quiet && !json) return 0;
  if (!json) {
    std::cout << run_table(columns, colourful());
    if (values["intervals"].as<bool>()) std::cout << intervals_table(intervals);
    return 0;
  }
  // One object; with variants one object a line of a map, by name.
  if (file.variants.size() == 1 && columns.front().name.empty()) {
    std::cout << summary_json(*columns.front().scenario, runs.front(), summaries.front(), kVersion,
                              intervals.front().intervals);
    return 0;
  }
  std::vector<std::pair<std::string, std::string>> parts;
  for (std::size_t i = 0; i < columns.size(); ++i)
    parts.emplace_back(columns[i].name,
                       summary_json(*columns[i].scenario, runs[i], summaries[i], kVersion, intervals[i].intervals));
  std::cout << variants_json(parts);
  return 0;
}

}  // namespace

const Command kRunCommand{
    "run", "SCENARIO.yaml", "simulate it: latency, throughput, and where every byte of the KV cache went",
    1,     add_options,     run};

}  // namespace headroom
