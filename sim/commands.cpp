#include "sim/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/program_options.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>

#include "sim/config/catalogue.h"
#include "sim/config/scenario_derive.h"
#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"
#include "sim/memory/kv_allocator.h"
#include "sim/metrics/summary.h"
#include "sim/output/csv.h"
#include "sim/output/files.h"
#include "sim/output/perfetto.h"
#include "sim/output/progress.h"
#include "sim/output/summary_json.h"
#include "sim/output/tables.h"
#include "sim/output/vllm_bench.h"
#include "sim/sched/scheduler.h"
#include "sim/version.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

// Parses the words of one command. Empty when --help was asked for and answered.
std::optional<po::variables_map> parse(const Arguments& arguments, std::string_view usage,
                                       const po::options_description& visible, const char* positional, int most) {
  po::options_description all;
  all.add(visible).add_options()(positional, po::value<std::vector<std::string>>());
  po::positional_options_description places;
  places.add(positional, most);
  po::variables_map values;
  po::store(po::command_line_parser(arguments)
                .options(all)
                .positional(places)
                .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing)
                .run(),
            values);
  if (values.count("help") != 0) {
    std::cout << usage << "\n" << visible;
    return std::nullopt;
  }
  po::notify(values);
  return values;
}

std::vector<std::string> words(const po::variables_map& values, const char* name) {
  return values.count(name) != 0 ? values[name].as<std::vector<std::string>>() : std::vector<std::string>{};
}

std::string only_scenario(const po::variables_map& values) {
  const std::vector<std::string> files = words(values, "scenario");
  if (files.size() != 1) throw po::error("expected one SCENARIO.yaml");
  return files.front();
}

LoadOptions load_options(const po::variables_map& values) {
  LoadOptions options;
  options.overrides = words(values, "set");
  if (values.count("seed") != 0) options.seed = values["seed"].as<std::uint64_t>();
  return options;
}

// FILE for a run without variants; FILE with the variant's name before its ending otherwise.
std::string file_of_variant(const std::string& file, const std::string& variant) {
  if (variant.empty()) return file;
  const fs::path path(file);
  return (path.parent_path() / (path.stem().string() + "." + variant + path.extension().string())).string();
}

SloBounds slo_bounds(const Scenario& s) {
  SloBounds bounds;
  if (s.slo.ttft) bounds.ttft = s.slo.ttft->count();
  if (s.slo.tpot) bounds.tpot = s.slo.tpot->count();
  if (s.slo.e2el) bounds.e2el = s.slo.e2el->count();
  return bounds;
}

double mean_tokens(const Workload& workload) {
  double tokens = 0;
  for (const Request& r : workload.requests) tokens += static_cast<double>(r.prompt_tokens + r.output_tokens);
  return workload.requests.empty() ? 0 : tokens / static_cast<double>(workload.requests.size());
}

bool colourful() {
  return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
}

struct Outputs {
  std::string folder;  // empty: none
  std::string trace;
  std::string vllm_bench;
};

void write_outputs(const Outputs& out, const std::string& variant, const Scenario& s, const RunResult& run,
                   const Summary& summary) {
  if (!out.folder.empty()) {
    const std::string folder = variant.empty() ? out.folder : (fs::path(out.folder) / variant).string();
    make_folder(folder);
    write_requests_csv(folder + "/requests.csv", run);
    write_timeline_csv(folder + "/timeline.csv", run);
    write_text_file(folder + "/scenario.yaml", s.resolved);
    write_text_file(folder + "/summary.json",
                    summary_json(s, run, summary, kVersion));  // last: its presence means all is there
  }
  if (!out.trace.empty()) write_perfetto(file_of_variant(out.trace, variant), s, run);
  if (!out.vllm_bench.empty()) write_vllm_bench(file_of_variant(out.vllm_bench, variant), s, run, summary);
}

}  // namespace

int run_command(const Arguments& arguments) {
  po::options_description visible("options");
  visible.add_options()("help", "this text")("set", po::value<std::vector<std::string>>()->composing(),
                                             "PATH.TO.KEY=VALUE over the scenario; may be repeated")(
      "seed", po::value<std::uint64_t>(), "over the scenario's seed")(
      "out", po::value<std::string>(), "folder for summary.json, requests.csv, timeline.csv and the resolved scenario")(
      "json", po::bool_switch(), "print summary.json instead of the table")(
      "trace", po::value<std::string>(), "write a Chrome/Perfetto trace")("vllm-bench", po::value<std::string>(),
                                                                          "write what vLLM's benchmark client writes")(
      "export-workload", po::value<std::string>(), "write the requests as CSV; reads back as a trace")(
      "timeline", po::value<std::string>()->default_value("thin"),
      "thin: at most 10,000 rows, every extreme kept; full: one row per change")(
      "step-by-step", po::bool_switch(), "simulate every step on its own; same results, slower")(
      "quiet", po::bool_switch(), "no table and no progress bar");
  const auto values = parse(arguments, "usage: headroom run SCENARIO.yaml [options]\n", visible, "scenario", 1);
  if (!values) return 0;
  const auto text = [&](const char* name) {
    return values->count(name) != 0 ? (*values)[name].as<std::string>() : std::string();
  };
  const std::string timeline = text("timeline");
  if (timeline != "thin" && timeline != "full") throw po::error("--timeline: expected thin or full");
  const bool json = (*values)["json"].as<bool>(), quiet = (*values)["quiet"].as<bool>();

  const ScenarioFile file = load_scenario(only_scenario(*values), load_options(*values));
  const Outputs out{text("out"), text("trace"), text("vllm-bench")};
  const Workload workload = workload_of(file.variants.front().second);
  if (const std::string path = text("export-workload"); !path.empty()) write_workload_csv(path, workload);

  std::vector<RunResult> runs;
  std::vector<Summary> summaries;
  std::vector<VariantResult> columns;
  runs.reserve(file.variants.size());
  summaries.reserve(file.variants.size());
  for (const auto& [name, scenario] : file.variants) {
    SimulationOptions options;
    options.step_by_step = (*values)["step-by-step"].as<bool>();
    options.full_timeline = timeline == "full";
    options.trace = !out.trace.empty();
    Progress progress(name, !quiet && stderr_is_terminal());
    options.progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); };
    runs.push_back(simulate(scenario, workload, options));
    progress.finish();
    summaries.push_back(summarize(runs.back(), scenario.hardware, slo_bounds(scenario)));
    write_outputs(out, name, scenario, runs.back(), summaries.back());
    columns.push_back(VariantResult{name, &scenario, &runs.back(), &summaries.back()});
  }
  if (quiet && !json) return 0;
  if (!json) {
    std::cout << run_table(columns, colourful());
    return 0;
  }
  // One object; with variants one object a line of a map, by name.
  if (file.variants.size() == 1 && columns.front().name.empty()) {
    std::cout << summary_json(*columns.front().scenario, runs.front(), summaries.front(), kVersion);
    return 0;
  }
  std::vector<std::pair<std::string, std::string>> parts;
  for (std::size_t i = 0; i < columns.size(); ++i)
    parts.emplace_back(columns[i].name, summary_json(*columns[i].scenario, runs[i], summaries[i], kVersion));
  std::cout << variants_json(parts);
  return 0;
}

int memory_command(const Arguments& arguments) {
  po::options_description visible("options");
  visible.add_options()("help", "this text")("set", po::value<std::vector<std::string>>()->composing(),
                                             "PATH.TO.KEY=VALUE over the scenario; may be repeated")(
      "seed", po::value<std::uint64_t>(), "over the scenario's seed")("json", po::bool_switch(),
                                                                      "print JSON instead of the table");
  const auto values = parse(arguments, "usage: headroom memory SCENARIO.yaml [options]\n", visible, "scenario", 1);
  if (!values) return 0;
  const ScenarioFile file = load_scenario(only_scenario(*values), load_options(*values));
  const double tokens = mean_tokens(workload_of(file.variants.front().second));
  const bool json = (*values)["json"].as<bool>();
  std::vector<std::pair<std::string, std::string>> parts;
  for (const auto& [name, scenario] : file.variants) {
    const MemoryPlan plan = plan_memory(scenario.model, scenario.hardware, memory_plan_input(scenario));
    if (json) {
      parts.emplace_back(name, memory_json(scenario, plan, tokens));
    } else {
      if (!name.empty()) std::cout << name << "\n";
      std::cout << memory_table(scenario, plan, tokens, colourful());
    }
  }
  if (json) std::cout << (parts.size() == 1 && parts[0].first.empty() ? parts[0].second : variants_json(parts));
  return 0;
}

int check_command(const Arguments& arguments) {
  po::options_description visible("options");
  visible.add_options()("help", "this text");
  const auto values = parse(arguments, "usage: headroom check FILE.yaml...\n", visible, "scenario", -1);
  if (!values) return 0;
  const std::vector<std::string> files = words(*values, "scenario");
  if (files.empty()) throw po::error("expected at least one FILE.yaml");
  int code = 0;
  for (const std::string& file : files) {
    try {
      check_file(file);
      std::cout << file << ": ok\n";
    } catch (const ConfigError& error) {
      std::cerr << error.what() << "\n";
      code = 2;
    } catch (const WorkloadError& error) {
      std::cerr << error.what() << "\n";
      code = 2;
    }
  }
  return code;
}

int list_command(const Arguments& arguments) {
  po::options_description visible("options");
  visible.add_options()("help", "this text");
  const auto values =
      parse(arguments, "usage: headroom list (models | hardware | engines | allocators | schedulers | scenarios)\n",
            visible, "kind", 1);
  if (!values) return 0;
  const std::vector<std::string> kinds = words(*values, "kind");
  if (kinds.size() != 1)
    throw po::error("expected one of models, hardware, engines, allocators, schedulers, scenarios");
  std::vector<std::pair<std::string, std::string>> rows;
  const std::string& kind = kinds.front();
  if (kind == "allocators") {
    for (const KvAllocatorEntry& entry : kv_allocators()) rows.emplace_back(entry.name, entry.summary);
  } else if (kind == "schedulers") {
    for (const SchedulerEntry& entry : schedulers()) rows.emplace_back(entry.name, entry.summary);
  } else if (kind == "models" || kind == "hardware" || kind == "engines" || kind == "scenarios") {
    for (const std::string& name : catalogue_names(kind)) rows.emplace_back(name, summary_of_entry(kind, name));
  } else {
    const std::string_view known[] = {"models", "hardware", "engines", "allocators", "schedulers", "scenarios"};
    throw po::error(fmt::format("nothing to list called '{}'{}", kind, suggestion(kind, known)));
  }
  std::size_t width = 0;
  for (const auto& [name, summary] : rows) width = std::max(width, name.size());
  for (const auto& [name, summary] : rows) std::cout << fmt::format("{:<{}}  {}\n", name, width, summary);
  return 0;
}

std::string version_text() {
  return fmt::format("headroom {}\nbuilt without: CUDA (calibrate, execute), MPI (sweeps over several hosts)\n",
                     kVersion);
}

}  // namespace headroom
