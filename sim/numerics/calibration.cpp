#include "sim/numerics/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/workload/random.h"

namespace headroom {
namespace {

constexpr double kHelps = 0.1;  // dB

struct Sample {
  std::size_t task;
  std::int64_t index;
};
using SampleSet = std::vector<Sample>;

float largest_of(std::span<const float> values) {
  float largest = 0;
  for (const float v : values) largest = std::max(largest, std::abs(v));
  return largest;
}

class Study {
 public:
  Study(std::span<const Recording> recordings, const CalibrationOptions& options)
      : recordings_(recordings), options_(options) {}

  CalibrationReport report() {
    CalibrationReport r;
    r.options = options_;
    for (const Recording& recording : recordings_) {
      r.tasks.push_back(recording.task());
      r.kept.push_back(
          recording.pool() > 0 &&
          (options_.keep.empty() || std::count(options_.keep.begin(), options_.keep.end(), recording.task()) > 0));
      r.pool.push_back(recording.pool());
    }
    kept_ = r.kept;
    for (std::size_t task = 0; task < recordings_.size(); ++task)
      for (std::int64_t i = 0; i < recordings_[task].pool(); ++i) {
        all_.push_back({task, 2 * i});
        if (kept_[task]) wanted_.push_back({task, 2 * i});
      }
    find_ranges();
    greedy_ = greedy_order();
    compare_observers(r);
    const auto most = static_cast<std::int64_t>(wanted_.size());
    const std::int64_t size = std::min(options_.set_size, most);
    std::vector<std::int64_t> sizes;
    for (std::int64_t n = 1; n < most; n *= 2) sizes.push_back(n);
    sizes.push_back(most);
    for (const std::string& name : set_names()) {
      r.sets.push_back(judged(name, size));
      const std::size_t from = r.sizes.size();
      for (const std::int64_t n : sizes) {
        if (n > available(name)) break;
        r.sizes.push_back(judged(name, n));
      }
      std::int64_t enough = r.sizes.back().set_size;
      for (std::size_t i = r.sizes.size(); i-- > from;) {
        if (std::abs(r.sizes[i].worst_sqnr_db - r.sizes.back().worst_sqnr_db) > kHelps) break;
        enough = r.sizes[i].set_size;
      }
      r.stops_helping.emplace_back(name, enough);
    }
    return r;
  }

 private:
  std::vector<std::string> set_names() const {
    std::vector<std::string> names;
    for (const Recording& recording : recordings_)
      if (recording.pool() > 0) names.push_back("only " + recording.task());
    if (names.size() == 1) names.clear();
    names.insert(names.end(), {"random", "stratified", "greedy"});
    return names;
  }
  // Which task a set is of; none if of several.
  std::size_t only_task(const std::string& set) const {
    for (std::size_t task = 0; task < recordings_.size(); ++task)
      if (set == "only " + recordings_[task].task()) return task;
    return recordings_.size();
  }
  std::int64_t available(const std::string& set) const {
    const std::size_t task = only_task(set);
    if (task < recordings_.size()) return recordings_[task].pool();
    return static_cast<std::int64_t>(set == "random" ? all_.size() : wanted_.size());
  }

  // Largest magnitude of each channel of each sample of the pool: what greedy looks at.
  void find_ranges() {
    std::vector<float> values;
    const auto channels = static_cast<std::size_t>(recordings_.front().channels());
    for (const Sample& s : wanted_) {
      std::vector<float> range(channels, 0);
      recordings_[s.task].read(s.index, values);
      for (std::size_t i = 0; i < values.size(); ++i)
        range[i % channels] = std::max(range[i % channels], std::abs(values[i]));
      ranges_.push_back(std::move(range));
    }
  }

  SampleSet greedy_order() const {
    const std::size_t channels = ranges_.front().size();
    std::vector<float> widest(channels, 0);  // of the pool: makes channels comparable
    for (const auto& range : ranges_)
      for (std::size_t c = 0; c < channels; ++c) widest[c] = std::max(widest[c], range[c]);
    std::vector<float> covered(channels, 0);
    std::vector<bool> taken(ranges_.size(), false);
    SampleSet order;
    while (order.size() < ranges_.size()) {
      std::size_t best = ranges_.size();
      double most = -1;
      for (std::size_t i = 0; i < ranges_.size(); ++i) {
        if (taken[i]) continue;
        double gain = 0;
        for (std::size_t c = 0; c < channels; ++c)
          if (ranges_[i][c] > covered[c]) gain += static_cast<double>((ranges_[i][c] - covered[c]) / widest[c]);
        if (gain > most) {
          most = gain;
          best = i;
        }
      }
      taken[best] = true;
      for (std::size_t c = 0; c < channels; ++c) covered[c] = std::max(covered[c], ranges_[best][c]);
      order.push_back(wanted_[best]);
    }
    return order;
  }

  // The first `size` of the pool's samples of one task or all, shuffled.
  static SampleSet drawn(SampleSet from, std::int64_t size, Random& random) {
    for (std::size_t i = from.size(); i > 1; --i) std::swap(from[i - 1], from[random.below(i)]);
    from.resize(std::min(from.size(), static_cast<std::size_t>(size)));
    return from;
  }

  SampleSet set_of(const std::string& name, std::int64_t size, std::int64_t draw) const {
    if (name == "greedy") return {greedy_.begin(), greedy_.begin() + size};
    Random random(options_.seed, fmt::format("calibration {} {}", name, draw));
    if (name == "random") return drawn(all_, size, random);
    if (name != "stratified") {
      SampleSet own;
      const std::size_t task = only_task(name);
      for (const Sample& s : all_)
        if (s.task == task) own.push_back(s);
      return drawn(own, size, random);
    }
    // Tasks take turns, in an order drawn anew, as long as they have samples left.
    std::vector<SampleSet> by_task;
    for (std::size_t task = 0; task < recordings_.size(); ++task) {
      SampleSet own;
      for (const Sample& s : wanted_)
        if (s.task == task) own.push_back(s);
      if (!own.empty()) by_task.push_back(drawn(own, size, random));
    }
    for (std::size_t i = by_task.size(); i > 1; --i) std::swap(by_task[i - 1], by_task[random.below(i)]);
    SampleSet set;
    for (std::size_t round = 0; static_cast<std::int64_t>(set.size()) < size; ++round)
      for (const SampleSet& own : by_task)
        if (round < own.size() && static_cast<std::int64_t>(set.size()) < size) set.push_back(own[round]);
    return set;
  }

  MagnitudeHistogram histogram_of(const SampleSet& set) const {
    std::vector<float> values;
    float largest = 0;
    for (const Sample& s : set) {
      recordings_[s.task].read(s.index, values);
      largest = std::max(largest, largest_of(values));
    }
    MagnitudeHistogram histogram(largest);
    for (const Sample& s : set) {
      recordings_[s.task].read(s.index, values);
      histogram.add(values);
    }
    return histogram;
  }

  std::vector<float> channel_clips(const SampleSet& set, Observer observer) const {
    const auto channels = static_cast<std::size_t>(recordings_.front().channels());
    std::vector<std::vector<float>> columns(channels);
    std::vector<float> values;
    for (const Sample& s : set) {
      recordings_[s.task].read(s.index, values);
      for (std::size_t i = 0; i < values.size(); ++i) columns[i % channels].push_back(values[i]);
    }
    std::vector<float> clips;
    for (const auto& column : columns) {
      MagnitudeHistogram histogram(largest_of(column));
      histogram.add(column);
      clips.push_back(clip_value(observer, histogram, options_.quantization));
    }
    return clips;
  }

  // Held-out samples of a task under ranges; `clips` holds one for all, or one a channel; none: each token its own.
  TaskQuality quality(std::size_t task, std::span<const float> clips) const {
    const Recording& recording = recordings_[task];
    const auto channels = static_cast<std::size_t>(recording.channels());
    const NumberFormat to = options_.quantization.to;
    const float largest_code = limits_of(to).largest;
    std::vector<float> values;
    double signal = 0, noise = 0;
    std::int64_t clipped = 0, total = 0;
    for (std::int64_t sample = 0; sample < recording.samples(); ++sample) {
      if (!recording.is_judged(sample)) continue;
      recording.read(sample, values);
      float own = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t channel = i % channels;
        if (clips.empty() && channel == 0) own = largest_of(std::span(values).subspan(i, channels));
        const float clip = clips.empty() ? own : clips[clips.size() == 1 ? 0 : channel];
        const float scale = clip / largest_code;
        const float kept = scale > 0 ? quantize_static(to, values[i], scale) : 0;
        const double x = static_cast<double>(values[i]), error = x - static_cast<double>(kept);
        signal += x * x;
        noise += error * error;
        if (std::abs(values[i]) > clip) ++clipped;
      }
      total += static_cast<std::int64_t>(values.size());
    }
    return {noise > 0 ? 10 * std::log10(signal / noise) : std::numeric_limits<double>::infinity(),
            static_cast<double>(clipped) / static_cast<double>(std::max<std::int64_t>(total, 1))};
  }

  void judge(RangeQuality& q, std::span<const float> clips, double weight) const {
    q.tasks.resize(recordings_.size());
    for (std::size_t task = 0; task < recordings_.size(); ++task) {
      const TaskQuality one = quality(task, clips);
      q.tasks[task].sqnr_db += weight * one.sqnr_db;
      q.tasks[task].clipped += weight * one.clipped;
    }
  }
  void find_worst(RangeQuality& q) const {
    q.worst_sqnr_db = std::numeric_limits<double>::infinity();
    for (std::size_t task = 0; task < recordings_.size(); ++task)
      if (kept_[task]) q.worst_sqnr_db = std::min(q.worst_sqnr_db, q.tasks[task].sqnr_db);
  }

  RangeQuality judged(const std::string& name, std::int64_t size) const {
    RangeQuality q;
    q.name = name;
    q.set_size = std::min(size, available(name));
    q.observer = options_.observer;
    // A set that holds all there is, and the greedy one, are the same in every draw.
    const std::int64_t draws = name == "greedy" || q.set_size == available(name) ? 1 : options_.draws;
    for (std::int64_t draw = 0; draw < draws; ++draw) {
      const MagnitudeHistogram seen = histogram_of(set_of(name, q.set_size, draw));
      const float clip = clip_value(options_.observer, seen, options_.quantization);
      q.clip += clip / static_cast<float>(draws);
      judge(q, std::span(&clip, 1), 1.0 / static_cast<double>(draws));
    }
    find_worst(q);
    return q;
  }

  void compare_observers(CalibrationReport& r) const {
    const std::int64_t size = std::min<std::int64_t>(options_.set_size, static_cast<std::int64_t>(wanted_.size()));
    const SampleSet set = set_of("stratified", size, 0);
    const MagnitudeHistogram seen = histogram_of(set);
    const auto add = [&](std::string_view name, Granularity granularity, Observer observer,
                         std::span<const float> clips) {
      RangeQuality q;
      q.name = name;
      q.set_size = granularity == Granularity::kToken ? 0 : size;
      q.granularity = granularity;
      q.observer = observer;
      q.clip = clips.size() == 1 ? clips.front() : 0;
      judge(q, clips, 1);
      find_worst(q);
      r.observers.push_back(std::move(q));
    };
    for (const ObserverEntry& entry : observers()) {
      if (entry.observer == Observer::kEntropy && options_.quantization.to != NumberFormat::kInt8) continue;
      const float clip = clip_value(entry.observer, seen, options_.quantization);
      add(entry.name, Granularity::kTensor, entry.observer, std::span(&clip, 1));
    }
    // 2,048 bins of a channel's few values say nothing of divergence: entropy is an observer of tensors.
    for (const ObserverEntry& entry : observers())
      if (entry.observer != Observer::kEntropy)
        add(entry.name, Granularity::kChannel, entry.observer, channel_clips(set, entry.observer));
    add("dynamic", Granularity::kToken, Observer::kMinMax, {});
  }

  std::span<const Recording> recordings_;
  const CalibrationOptions& options_;
  std::vector<bool> kept_;
  SampleSet all_, wanted_, greedy_;         // of the pool
  std::vector<std::vector<float>> ranges_;  // of wanted_, by channel
};

}  // namespace

std::string_view name_of(Granularity granularity) {
  switch (granularity) {
    case Granularity::kTensor:
      return "tensor";
    case Granularity::kChannel:
      return "channel";
    case Granularity::kToken:
      return "token";
  }
  return "?";
}

Recording::Recording(std::string task, TensorFile file, RecordingUse use)
    : task_(std::move(task)), file_(std::move(file)), use_(use) {
  if (file_.tensors().size() != 1) throw TensorFileError(file_.path(), "expected one tensor of recorded activations");
  const Tensor& t = file_.tensors().front();
  if (t.type == StoredType::kOther)
    throw TensorFileError(file_.path(), "recorded activations are no numbers of a type that is read");
  const std::vector<std::int64_t>& shape = t.shape;
  if (shape.size() != 2 && shape.size() != 3)
    throw TensorFileError(
        file_.path(),
        fmt::format("{} dimensions; expected [samples, tokens, channels] or [tokens, channels]", shape.size()));
  samples_ = shape.front();
  tokens_ = shape.size() == 3 ? shape[1] : 1;
  channels_ = shape.back();
  if (samples_ < (use == RecordingUse::kJudgeOnly ? 1 : 2) || tokens_ < 1 || channels_ < 1)
    throw TensorFileError(file_.path(), "expected at least two samples, one to learn from and one to judge on");
  std::vector<float> values;
  for (std::int64_t sample = 0; sample < samples_; ++sample) {
    read(sample, values);
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }))
      throw TensorFileError(file_.path(), fmt::format("sample {} holds a value that is not finite", sample));
  }
}

void Recording::read(std::int64_t sample, std::vector<float>& values) const {
  const std::int64_t size = tokens_ * channels_;
  values.resize(static_cast<std::size_t>(size));
  read_numbers(file_.tensors().front(), sample * size, values);
}

CalibrationReport calibrate_activations(std::span<const Recording> recordings, const CalibrationOptions& options) {
  return Study(recordings, options).report();
}

}  // namespace headroom
