// Runs the points of a sweep over worker processes and, under mpirun, over ranks; rank 0 writes the database.
#pragma once

#include <string>

#include "sim/config/sweep_reader.h"
#include "sim/sweep/ranks.h"

namespace headroom {

struct SweepOptions {
  std::string database;
  std::string version;  // of the program
  int jobs = 1;         // workers of this process
  bool resume = false;  // go on with a database that is there
  bool quiet = false;
};

struct SweepOutcome {
  std::size_t before = 0;  // points that were recorded already
  std::size_t recorded = 0;
  std::size_t failed = 0;    // of those recorded now
  bool interrupted = false;  // by SIGINT or SIGTERM; what was finished is in the database
};

// Throws ConfigError before anything is written, OutputError when the database cannot be. Rank 0's outcome is all of
// it; other ranks return when rank 0 has everything. After an interruption or an error on rank 0 they wait still: end
// them with Ranks::abort().
SweepOutcome run_sweep(const SweepFile& sweep, Shelf& shelf, const SweepOptions& options, const Ranks& ranks);

}  // namespace headroom
