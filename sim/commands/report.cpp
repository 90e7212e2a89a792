// headroom report: one page about recorded runs, or about a sweep.
#include <filesystem>
#include <iostream>

#include "sim/commands/scenario_options.h"
#include "sim/output/files.h"
#include "sim/output/run_reader.h"
#include "sim/report/run_report.h"
#include "sim/report/sweep_report.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init add) {
  add("out", po::value<std::string>(), "the page to write, report.html");
}

int run(const Values& values, const Words& operands) {
  if (operands.empty()) throw po::error("expected a folder that 'run --out' wrote, or more, or a sweep's FILE.sqlite");
  const std::string out = text_of(values, "out");
  if (out.empty()) throw po::error("expected --out FILE.html");
  if (operands.size() == 1 && !std::filesystem::is_directory(operands.front())) {
    write_text_file(out, sweep_report(read_sweep_results(operands.front())));
    return 0;
  }
  std::vector<RecordedRun> runs;
  for (const std::string& folder : operands)
    for (RecordedRun& run : read_runs(folder)) runs.push_back(std::move(run));
  write_text_file(out, run_report(runs));
  return 0;
}

}  // namespace

const Command kReportCommand{
    "report", "(DIR... | FILE.sqlite)", "one page about runs or a sweep, readable without a network", -1, add_options,
    run};

}  // namespace headroom
