#include "sim/engine/step_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "sim/workload/text_file.h"

namespace headroom {
namespace {

constexpr std::string_view kHeader = "start_s,duration_s,gpu_s,decodes,decode_context,chunks,chunk_tokens,preempted";

std::string row(const RecordedStep& s) {
  return fmt::format("{},{},{},{},{},{},{},{}", s.start, s.duration, s.gpu, s.decodes, s.decode_context, s.chunks,
                     s.chunk_tokens, s.preempted);
}

// Takes the next field of a line away.
template <class T>
T next_field(std::string_view& rest, const std::string& path, std::int64_t line) {
  const std::string_view field = rest.substr(0, rest.find(','));
  rest.remove_prefix(std::min(field.size() + 1, rest.size()));
  T value{};
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size() || !(value >= 0) ||
      !std::isfinite(static_cast<double>(value)))
    throw WorkloadError(path, line, fmt::format("expected a number from 0 on, found '{}'", field.substr(0, 40)));
  return value;
}

std::string words_of(const RecordedStep& s) {
  return fmt::format("{} decodes over {} tokens, {} chunks of {} tokens, {} preempted", s.decodes, s.decode_context,
                     s.chunks, s.chunk_tokens, s.preempted);
}
bool same_plan(const RecordedStep& a, const RecordedStep& b) {
  return a.decodes == b.decodes && a.decode_context == b.decode_context && a.chunks == b.chunks &&
         a.chunk_tokens == b.chunk_tokens && a.preempted == b.preempted;
}

}  // namespace

RecordedStep record_of(const StepPlan& plan, const StepShape& shape) {
  RecordedStep step;
  step.decodes = shape.decode_sequences;
  step.decode_context = plan.decodes ? shape.decode_context : 0;
  step.chunks = static_cast<std::int64_t>(plan.prefills.size());
  for (const ScheduledPrefill& p : plan.prefills) step.chunk_tokens += p.new_tokens;
  step.preempted = static_cast<std::int64_t>(plan.preempted.size());
  return step;
}

std::string steps_csv(const std::vector<RecordedStep>& steps) {
  std::string text(kHeader);
  text += '\n';
  for (const RecordedStep& s : steps) text += row(s) + '\n';
  return text;
}

std::vector<RecordedStep> read_steps(const std::string& path) {
  const std::string text = read_text(path);
  std::vector<RecordedStep> steps;
  std::int64_t number = 0;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    std::string_view line(text.data() + from, end - from);
    from = end + 1;
    if (++number == 1) {
      if (line != kHeader) throw WorkloadError(path, 1, fmt::format("expected the header '{}'", kHeader));
      continue;
    }
    if (std::count(line.begin(), line.end(), ',') != 7)
      throw WorkloadError(path, number, "expected 8 fields, as the header has");
    RecordedStep s;
    for (double* value : {&s.start, &s.duration, &s.gpu}) *value = next_field<double>(line, path, number);
    for (std::int64_t* value : {&s.decodes, &s.decode_context, &s.chunks, &s.chunk_tokens, &s.preempted})
      *value = next_field<std::int64_t>(line, path, number);
    steps.push_back(s);
  }
  if (steps.empty()) throw WorkloadError(path, 0, "no steps");
  return steps;
}

ReplayRunner::ReplayRunner(std::string path, const StepTimeModel& cost)
    : path_(std::move(path)), cost_(&cost), steps_(read_steps(path_)) {}

StepTime ReplayRunner::run(const Scheduler&, const KvAllocator&, const StepPlan& plan, const StepShape& shape, double) {
  const std::size_t i = predicted_.size();
  const auto line = static_cast<std::int64_t>(i) + 2;
  const RecordedStep planned = record_of(plan, shape);
  if (i == steps_.size())
    throw WorkloadError(path_, line, "the record ends here, the run does not: is it of another scenario?");
  const RecordedStep& recorded = steps_[i];
  if (!same_plan(planned, recorded))
    throw WorkloadError(
        path_, line,
        fmt::format("recorded: {}; planned: {}; is it of another scenario?", words_of(recorded), words_of(planned)));
  predicted_.push_back(cost_->step_time(shape));
  StepTime time;
  time.total = Seconds{recorded.duration};
  time.gpu = Seconds{recorded.gpu};
  time.host = time.total - time.gpu;
  return time;
}

void ReplayRunner::finish() const {
  if (predicted_.size() < steps_.size())
    throw WorkloadError(path_, static_cast<std::int64_t>(predicted_.size()) + 2,
                        "the run has ended, the record has not: is it of another scenario?");
}

std::string ReplayRunner::comparison_csv() const {
  std::string text(kHeader);
  text += ",predicted_duration_s,predicted_gpu_s,predicted_gemm_s,predicted_attention_s,predicted_elementwise_s\n";
  for (std::size_t i = 0; i < predicted_.size(); ++i) {
    const StepTime& p = predicted_[i];
    text += row(steps_[i]) + fmt::format(",{:.7f},{:.7f},{:.7f},{:.7f},{:.7f}\n", p.total.count(), p.gpu.count(),
                                         p.gemm.count(), p.attention.count(), p.elementwise.count());
  }
  return text;
}

}  // namespace headroom
