// Static quantization of activations: ranges are learned on a calibration set and judged on tasks.
//
// Recorded activations of each task are samples of tokens of channels. Of each task every second sample is in the pool
// that sets are drawn from, the others are judged on; a recording may also be there to be judged only. A set is samples
// of the pool:
//   only TASK    of one task
//   random       of the pool as it is: tasks with more recorded samples come more often
//   stratified   as many of each task that must stay good
//   greedy       of those tasks, one after the other the sample that widens the sum of the channels' ranges most
// One-task, random and stratified sets are drawn several times; what is reported is the mean in dB.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/numerics/observers.h"
#include "sim/numerics/tensor_file.h"

namespace headroom {

enum class RecordingUse { kLearnAndJudge, kJudgeOnly };

// A file of shape [samples, tokens, channels] or [tokens, channels], then each token is a sample.
class Recording {
 public:
  // Throws TensorFileError: another shape, no floating-point numbers, values that are not finite, too few samples.
  Recording(std::string task, TensorFile file, RecordingUse use = RecordingUse::kLearnAndJudge);
  const std::string& task() const { return task_; }
  const std::string& path() const { return file_.path(); }
  std::int64_t samples() const { return samples_; }
  std::int64_t pool() const { return use_ == RecordingUse::kJudgeOnly ? 0 : (samples_ + 1) / 2; }
  bool is_judged(std::int64_t sample) const { return use_ == RecordingUse::kJudgeOnly || sample % 2 == 1; }
  std::int64_t tokens() const { return tokens_; }  // of a sample
  std::int64_t channels() const { return channels_; }
  void read(std::int64_t sample, std::vector<float>& values) const;

 private:
  std::string task_;
  TensorFile file_;
  RecordingUse use_;
  std::int64_t samples_ = 0, tokens_ = 1, channels_ = 0;
};

enum class Granularity { kTensor, kChannel, kToken };
std::string_view name_of(Granularity granularity);

struct CalibrationOptions {
  ObserverOptions quantization;
  Observer observer = Observer::kMse;  // of the sets and of the curve
  std::vector<std::string> keep;       // tasks that must stay good; empty: all
  std::int64_t set_size = 32;          // samples
  std::int64_t draws = 8;
  std::uint64_t seed = 0;
};

struct TaskQuality {
  double sqnr_db = 0;
  double clipped = 0;  // fraction of values beyond the range
};
// One way to choose ranges, judged on every task.
struct RangeQuality {
  std::string name;
  std::int64_t set_size = 0;  // 0: dynamic, no set
  Granularity granularity = Granularity::kTensor;
  Observer observer = Observer::kMinMax;
  float clip = 0;                  // per tensor, mean of the draws; else 0
  std::vector<TaskQuality> tasks;  // as CalibrationReport::tasks
  double worst_sqnr_db = 0;        // of the tasks that must stay good
};

struct CalibrationReport {
  CalibrationOptions options;
  std::vector<std::string> tasks;
  std::vector<bool> kept;               // by task: must stay good
  std::vector<std::int64_t> pool;       // samples by task
  std::vector<RangeQuality> observers;  // on the stratified set, per tensor and channel; and per token
  std::vector<RangeQuality> sets;       // of set_size samples, per tensor, by options.observer
  std::vector<RangeQuality> sizes;      // the same sets at 1, 2, 4, ... samples
  // By set: the smallest size from which on the worst kept task stays within 0.1 dB of the largest size's.
  std::vector<std::pair<std::string, std::int64_t>> stops_helping;
};

// Requires recordings of one number of channels, at least one of them to learn from; names in options.keep are tasks to
// learn from.
CalibrationReport calibrate_activations(std::span<const Recording> recordings, const CalibrationOptions& options);

}  // namespace headroom
