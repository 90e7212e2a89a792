// Observers on worked histograms, and calibration sets on activations recorded from a real model.
#include "sim/numerics/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/workload/random.h"

namespace headroom {
namespace {

MagnitudeHistogram histogram(const std::vector<float>& values) {
  float largest = 0;
  for (const float v : values) largest = std::max(largest, std::abs(v));
  MagnitudeHistogram h(largest);
  h.add(values);
  return h;
}

TEST(Observer, MinMaxAndPercentileByHand) {
  // 9,999 values of 1 and one of -2,048: bins are one wide.
  std::vector<float> values(9'999, 1);
  values.push_back(-2048);
  const MagnitudeHistogram h = histogram(values);
  EXPECT_EQ(h.total(), 10'000);
  EXPECT_EQ(clip_value(Observer::kMinMax, h, {}), 2048);
  EXPECT_EQ(clip_value(Observer::kPercentile, h, {NumberFormat::kInt8, 99.99}), 2);  // upper edge of the bin of 1
  EXPECT_EQ(clip_value(Observer::kPercentile, h, {NumberFormat::kInt8, 99.995}), 2048);
  EXPECT_EQ(clip_value(Observer::kMinMax, MagnitudeHistogram(0), {}), 0);
}

// Squared error of int8 with a clip value over the values themselves.
double squared_error(const std::vector<float>& values, float clip) {
  double sum = 0;
  for (const float v : values)
    sum += std::pow(static_cast<double>(v - quantize_static(NumberFormat::kInt8, v, clip / 127)), 2);
  return sum;
}

TEST(Observer, MseIsTheLeastOverItsClips) {
  Random random(7, "observer");
  std::vector<float> values;
  for (int i = 0; i < 20'000; ++i) values.push_back(static_cast<float>(random.normal()));
  values.push_back(40);
  const MagnitudeHistogram h = histogram(values);
  const float clip = clip_value(Observer::kMse, h, {});
  const double least = squared_error(values, clip);
  EXPECT_LT(least, squared_error(values, 40) * 0.95);  // min-max pays for the outlier
  for (int i = 1; i <= 128; ++i) EXPECT_GT(squared_error(values, 40 * static_cast<float>(i) / 128), least * 0.97) << i;
}

TEST(Observer, EntropyKeepsAUniformLawWholeAndCutsAnOutlier) {
  std::vector<float> values;
  for (int i = 0; i < 204'800; ++i) values.push_back(static_cast<float>(i) / 204'800);
  EXPECT_GT(clip_value(Observer::kEntropy, histogram(values), {}), 0.9f);
  Random random(7, "observer");
  values.clear();
  for (int i = 0; i < 100'000; ++i) values.push_back(static_cast<float>(random.normal()));
  values.push_back(100);
  const float clip = clip_value(Observer::kEntropy, histogram(values), {});
  EXPECT_LT(clip, 50);
  EXPECT_GT(clip, 2);
}

TEST(Observer, Fp8ScalesReachTheLargestCode) {
  EXPECT_EQ(quantize_static(NumberFormat::kFp8E4m3, 10, 10.0f / 448), 10);
  EXPECT_EQ(quantize_static(NumberFormat::kFp8E4m3, 20, 10.0f / 448), 10);
  EXPECT_EQ(quantize_static(NumberFormat::kFp8E5m2, -10, 10.0f / 57344), -10);
  EXPECT_TRUE(takes_static_scale(NumberFormat::kInt8));
  EXPECT_FALSE(takes_static_scale(NumberFormat::kAwq));
}

// What validate/activations/record.py keeps of all-MiniLM-L6-v2: 24 samples of 8 tokens and 256 channels a task.
std::vector<Recording> recorded(const std::vector<std::string>& tasks) {
  std::vector<Recording> recordings;
  for (const std::string& task : tasks)
    recordings.emplace_back(task, TensorFile(HEADROOM_SOURCE_DIR "/validate/activations/sample/" + task + ".npy"));
  return recordings;
}

const RangeQuality& named(const std::vector<RangeQuality>& list, const std::string& name) {
  return *std::find_if(list.begin(), list.end(), [&](const RangeQuality& q) { return q.name == name; });
}

TEST(Calibration, ASetOfTheTasksThatMatterKeepsThemGood) {
  const auto recordings = recorded({"prose", "code", "tables", "russian", "chinese"});
  CalibrationOptions o;
  o.set_size = 10;
  const CalibrationReport r = calibrate_activations(recordings, o);
  ASSERT_EQ(r.tasks.size(), 5u);
  EXPECT_EQ(r.pool, std::vector<std::int64_t>(5, 12));
  const RangeQuality& tables = named(r.sets, "only tables");
  const RangeQuality& stratified = named(r.sets, "stratified");
  EXPECT_GT(stratified.worst_sqnr_db, tables.worst_sqnr_db + 1);
  EXPECT_GT(tables.tasks[0].clipped, stratified.tasks[0].clipped);
  EXPECT_LT(named(r.sets, "greedy").tasks[0].clipped, tables.tasks[0].clipped);
  // The same in every run; another seed draws other sets.
  const CalibrationReport again = calibrate_activations(recordings, o);
  o.seed = 1;
  const CalibrationReport other = calibrate_activations(recordings, o);
  EXPECT_EQ(named(again.sets, "random").worst_sqnr_db, named(r.sets, "random").worst_sqnr_db);
  EXPECT_NE(named(other.sets, "random").worst_sqnr_db, named(r.sets, "random").worst_sqnr_db);
}

TEST(Calibration, KeptTasksAloneAreSampledAndCounted) {
  const auto recordings = recorded({"prose", "tables"});
  CalibrationOptions o;
  o.keep = {"tables"};
  o.set_size = 12;
  const CalibrationReport r = calibrate_activations(recordings, o);
  const RangeQuality& stratified = named(r.sets, "stratified");
  const RangeQuality& tables = named(r.sets, "only tables");
  EXPECT_EQ(stratified.set_size, 12);
  EXPECT_EQ(stratified.clip, tables.clip);  // both are all of tables
  EXPECT_EQ(stratified.worst_sqnr_db, stratified.tasks[1].sqnr_db);
}

TEST(Calibration, DynamicScalesClipNothing) {
  const CalibrationReport r = calibrate_activations(recorded({"prose"}), {});
  const RangeQuality& dynamic = r.observers.back();
  EXPECT_EQ(dynamic.granularity, Granularity::kToken);
  EXPECT_EQ(dynamic.tasks[0].clipped, 0);
  for (const RangeQuality& q : r.observers)
    if (q.granularity == Granularity::kTensor) {
      EXPECT_GT(dynamic.tasks[0].sqnr_db, q.tasks[0].sqnr_db) << q.name;
    }
}

TEST(Calibration, ARecordingToJudgeOnlyIsNotLearnedFrom) {
  auto recordings = recorded({"tables"});
  recordings.emplace_back("prose", TensorFile(HEADROOM_SOURCE_DIR "/validate/activations/sample/prose.npy"),
                          RecordingUse::kJudgeOnly);
  const CalibrationReport r = calibrate_activations(recordings, {});
  EXPECT_EQ(r.pool[1], 0);
  EXPECT_FALSE(r.kept[1]);
  EXPECT_EQ(named(r.sets, "random").set_size, 12);
  EXPECT_GT(named(r.sets, "random").tasks[1].clipped, 0);
}

}  // namespace
}  // namespace headroom
