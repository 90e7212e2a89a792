// The steps of a run as they were carried out: what execute writes and what a replay goes by.
//
// A record replayed under the same scenario gives the run again: the same plans, and so the same preemptions and the
// same memory at the same times. What then still differs from a measured run is no matter of time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/step_time.h"
#include "sim/engine/step_runner.h"

namespace headroom {

struct RecordedStep {
  double start = 0, duration = 0, gpu = 0;  // seconds; duration is from `start`, host work included
  std::int64_t decodes = 0, decode_context = 0, chunks = 0, chunk_tokens = 0, preempted = 0;
};

// What `plan` asks for, as a record tells it; the times are for others to set.
RecordedStep record_of(const StepPlan& plan, const StepShape& shape);

// Times with as many digits as it takes to read the same number back.
std::string steps_csv(const std::vector<RecordedStep>& steps);
// What steps_csv() wrote, gzip or not. Throws WorkloadError.
std::vector<RecordedStep> read_steps(const std::string& path);

// Each step takes the time it took when it was recorded. Beside it stands what the cost model says of the same step.
class ReplayRunner final : public StepRunner {
 public:
  // The file's name is for errors.
  ReplayRunner(std::string path, const StepTimeModel& cost);
  // Throws WorkloadError where the plan is not the recorded one, or the record has ended.
  StepTime run(const Scheduler& scheduler, const KvAllocator& kv, const StepPlan& plan, const StepShape& shape,
               double start) override;
  // Throws WorkloadError when not every recorded step was replayed.
  void finish() const;
  // The record and, for each of its steps, the model's time and parts.
  std::string comparison_csv() const;

 private:
  std::string path_;
  const StepTimeModel* cost_;
  std::vector<RecordedStep> steps_;
  std::vector<StepTime> predicted_;
};

}  // namespace headroom
