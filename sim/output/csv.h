// requests.csv, timeline.csv (DESIGN 3.3) and the workload as a trace that can be read back.
#pragma once

#include <string>

#include "sim/metrics/run_result.h"
#include "sim/workload/workload.h"

namespace headroom {

// One row a request, in order of id. Instants that never came are empty. Status: finished, rejected, out-of-memory.
void write_requests_csv(const std::string& path, const RunResult& run);
// One row a moment and replica: token slots by state, and the queues. Valid until the replica's next row.
void write_timeline_csv(const std::string& path, const RunResult& run);
// Columns of the `csv` trace format; requests that wait for another's end have no arrival time of their own, so a
// workload with such requests cannot be written: throws OutputError.
void write_workload_csv(const std::string& path, const Workload& workload);

std::string_view word_of(RequestStatus status);

}  // namespace headroom
