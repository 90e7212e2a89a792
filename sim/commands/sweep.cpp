// headroom sweep: every point of a sweep file, into one SQLite file.
#include "sim/sweep/sweep.h"

#include <fmt/format.h>

#include <iostream>

#include "sim/commands/scenario_options.h"
#include "sim/sweep/workers.h"
#include "sim/version.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init add) {
  add("db", po::value<std::string>(), "the SQLite file to write (configs/sweeps/README.md has its tables)");
  add("set", po::value<Words>()->composing(), "PATH.TO.KEY=VALUE over the scenario of every point; may be repeated");
  add("jobs", po::value<int>(), "points at a time; default: a CPU each, under mpirun one a rank");
  add("resume", po::bool_switch(), "go on with FILE.sqlite where it stopped");
  add("quiet", po::bool_switch(), "no progress and no closing line");
}

// All ranks read the same file; rank 0 says what is wrong with it, another rank only what rank 0 does not see.
std::optional<SweepFile> read_on_all(const std::string& file, const Words& overrides, Shelf& shelf,
                                     const Ranks& ranks) {
  std::optional<SweepFile> sweep;
  std::exception_ptr problem;
  try {
    sweep = read_sweep(file, shelf, overrides);
  } catch (...) {
    problem = std::current_exception();
  }
  const bool leader_failed = ranks.any(problem && ranks.rank() == 0);
  if (!ranks.any(problem != nullptr)) return sweep;
  if (problem && (ranks.rank() == 0 || !leader_failed)) std::rethrow_exception(problem);
  return std::nullopt;
}

int run(const Values& values, const Words& operands) {
  if (operands.size() != 1) throw po::error("expected one SWEEP.yaml");
  SweepOptions options;
  options.database = text_of(values, "db");
  if (options.database.empty()) throw po::error("expected --db FILE.sqlite");
  options.jobs = values.count("jobs") != 0     ? values["jobs"].as<int>()
                 : Ranks::launched_by_mpirun() ? 1
                                               : available_cpus();
  if (options.jobs < 1 || options.jobs > 4096) throw po::error("--jobs: expected 1 to 4096");
  options.resume = values["resume"].as<bool>();
  options.quiet = values["quiet"].as<bool>();
  options.version = kVersion;

  const Ranks ranks;
  Shelf shelf;
  const std::optional<SweepFile> sweep =
      read_on_all(operands.front(), values.count("set") != 0 ? values["set"].as<Words>() : Words{}, shelf, ranks);
  if (!sweep) return 2;
  SweepOutcome outcome;
  try {
    outcome = run_sweep(*sweep, shelf, options, ranks);
  } catch (const ConfigError&) {  // on all ranks, before any point
    throw;
  } catch (const std::exception& error) {
    std::cerr << fmt::format("headroom: error: {}\n", error.what());
    ranks.abort(3);  // others may wait for this one
    return 3;
  }
  if (ranks.rank() != 0) return 0;
  const std::size_t there = outcome.before + outcome.recorded;
  if (outcome.interrupted) {
    std::cerr << fmt::format("stopped: {} of {} points are in {}; go on with\n  headroom sweep {} --db {} --resume\n",
                             there, sweep->num_points(), options.database, operands.front(), options.database);
    ranks.abort(3);
    return 3;
  }
  if (!options.quiet) {
    std::cout << fmt::format("{} points in {}", there, options.database);
    if (outcome.before > 0) std::cout << fmt::format(", {} of them from before", outcome.before);
    if (outcome.failed > 0)
      std::cout << fmt::format("; {} failed, their messages are in point.message", outcome.failed);
    std::cout << "\n";
  }
  return outcome.recorded > 0 && outcome.failed == outcome.recorded ? 3 : 0;
}

}  // namespace

const Command kSweepCommand{
    "sweep", "SWEEP.yaml", "every point of a sweep, on all cores or under mpirun, into one SQLite file",
    1,       add_options,  run};

}  // namespace headroom
