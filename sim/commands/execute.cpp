// headroom execute: the scenario on this GPU, with the outputs of run. Without CUDA in the build it says so.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "sim/commands/command.h"
#include "sim/commands/scenario_options.h"
#include "sim/config/errors.h"
#include "sim/config/reader.h"
#ifdef HEADROOM_CUDA
#include "sim/engine/simulation.h"
#include "sim/engine/slo_bounds.h"
#include "sim/output/csv.h"
#include "sim/output/files.h"
#include "sim/output/summary_json.h"
#include "sim/output/tables.h"
#include "sim/version.h"
#include "validate/executor/executor.h"
#include "validate/kernels/device.h"
#endif

namespace headroom {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

// Requests ask for more than the executor's kernels do: said where the scenario says so.
void check_requests(const std::string& file, const ScenarioFile& scenarios) {
  const auto refuse = [&](std::string_view key, std::string_view what) {
    const Map top = load_yaml(file).map();
    const auto value = top.has("workload") ? top.map("workload").find(key) : std::nullopt;
    // Without it a variant or --set says so.
    throw ConfigError(value ? value->pos() : SourcePos{file, 0, 0}, fmt::format("workload.{}: {}", key, what));
  };
  for (const auto& [name, scenario] : scenarios.variants) {
    const WorkloadSpec& w = scenario.workload;
    if (w.samples > 1) refuse("samples", fmt::format("{}; execute runs one sample a request; expected 1", w.samples));
    if (w.top_p) refuse("sampling", "execute takes the most probable token; expected greedy");
    if (w.over_http) refuse("client", "execute has no API server; expected in-process");
  }
}

void add_options(po::options_description_easy_init add) {
  add_scenario_options(add);
  add("out", po::value<std::string>(), "folder for what run writes, and steps.csv and memory.json");
  add("json", po::bool_switch(), "print summary.json instead of the table");
  add("time-limit", po::value<double>()->default_value(600), "seconds; a run that takes longer fails");
}

#ifdef HEADROOM_CUDA
std::string memory_text(const Scenario& s, const ExecutedMemory& m) {
  return fmt::format(
      "{{\"planned\": {{\"weights_bytes\": {}, \"kv_pool_bytes\": {}, \"activation_peak_bytes\": {}, "
      "\"context_bytes\": {}}},\n \"allocated\": {{\"weights_bytes\": {}, \"kv_pool_bytes\": {}, "
      "\"activation_bytes\": {}}},\n \"driver\": {{\"context_bytes\": {}, \"in_use_bytes\": {}}}}}\n",
      s.memory.weights.count(), s.memory.kv_pool.count(), s.memory.activation_peak.count(), s.memory.context.count(),
      m.weights, m.kv_pool, m.activations, m.context, m.in_use);
}

int run(const Values& values, const Words& operands) {
  const std::string path = only_scenario(operands);
  const ScenarioFile file = load_scenario(path, load_options(values));
  check_requests(path, file);
  for (const auto& [name, scenario] : file.variants)
    if (const std::string reason = why_not_executed(scenario); !reason.empty())
      throw po::error(fmt::format("execute{}{}: not executed: {}", name.empty() ? "" : ": ", name, reason));
  if (num_devices() == 0) {
    std::cerr << "headroom: error: no CUDA device here\n";
    return 3;
  }
  const std::string out = text_of(values, "out");
  const Workload workload = workload_of(file.variants.front().second);
  for (const auto& [name, scenario] : file.variants) {
    const ExecutedRun run = execute(scenario, workload, values["time-limit"].as<double>());
    const Summary summary = summarize(run.result, scenario.hardware, slo_bounds(scenario));
    if (!out.empty()) {
      const std::string folder = name.empty() ? out : (fs::path(out) / name).string();
      make_folder(folder);
      write_requests_csv(folder + "/requests.csv", run.result);
      write_timeline_csv(folder + "/timeline.csv", run.result);
      write_text_file(folder + "/scenario.yaml", scenario.resolved);
      write_gzip_file(folder + "/steps.csv.gz", steps_csv(run.steps));
      write_text_file(folder + "/memory.json", memory_text(scenario, run.memory));
      write_text_file(folder + "/summary.json", summary_json(scenario, run.result, summary, kVersion));
    }
    if (values["json"].as<bool>()) {
      std::cout << summary_json(scenario, run.result, summary, kVersion);
    } else {
      const VariantResult column{name, &scenario, &run.result, &summary};
      std::cout << run_table(std::span(&column, 1), colourful());
    }
  }
  return 0;
}
#else
int run(const Values& values, const Words& operands) {
  const std::string path = only_scenario(operands);
  check_requests(path, load_scenario(path, load_options(values)));  // a scenario's errors come first
  std::cerr << "headroom: error: this build has no CUDA in it; build with -DHEADROOM_CUDA=ON where nvcc is\n";
  return 3;
}
#endif

}  // namespace

const Command kExecuteCommand{
    "execute", "SCENARIO.yaml", "run it on this GPU: the same scheduler and allocator, real kernels",
    1,         add_options,     run};

}  // namespace headroom
