// Sweep files: how points are numbered, what ranges hold, and what is said about mistakes.
#include <gtest/gtest.h>

#include <fstream>

#include "sim/config/sweep_reader.h"
#include "tests/support/program.h"

namespace headroom {
namespace {

const testing::Scratch kScratch;

SweepFile read(const std::string& text) {
  const std::string file = kScratch / "sweep.yaml";
  std::ofstream(file) << text;
  Shelf shelf;
  return read_sweep(file, shelf);
}
std::string problem_of(const std::string& text) {
  try {
    read(text);
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    return what.substr(what.find("sweep.yaml") + 11);
  }
  return "none";
}

TEST(Sweep, LastAxisVariesFastestThenVariantThenSeed) {
  const SweepFile sweep = read(
      "scenario: samples-cow\naxes:\n  engine.block_size: [8, 16]\n  engine.max_num_seqs: [10, 20, 30]\nseeds: [7, "
      "9]\n");
  EXPECT_EQ(sweep.num_points(), 24U);
  const SweepPoint point = sweep.point(1 * 12 + 2 * 4 + 1 * 2 + 1);
  EXPECT_EQ(point.at, (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(point.variant, "swap");
  EXPECT_EQ(point.seed, 9U);
  Shelf shelf;
  const Scenario s = load_point(sweep, point, shelf);
  EXPECT_EQ(s.engine.block_size, 16);
  EXPECT_EQ(s.engine.scheduler.max_num_seqs, 30);
  EXPECT_EQ(s.engine.scheduler.preemption, PreemptionMode::kSwap);
  EXPECT_EQ(s.seed, 9U);
}

TEST(Sweep, ZippedAxesVaryTogether) {
  const SweepFile sweep = read(
      "scenario: one-gpu-poisson\naxes: {engine.block_size: [16, 32]}\n"
      "zip:\n  - {hardware: [h100-sxm, a10g], engine.max_num_seqs: [512, 64]}\n");
  EXPECT_EQ(sweep.num_points(), 4U);
  EXPECT_EQ(sweep.point(1).at, (std::vector<std::size_t>{0, 1, 1}));
  EXPECT_EQ(sweep.point(2).at, (std::vector<std::size_t>{1, 0, 0}));
}

TEST(Sweep, RangesAreEvenOnTheirScale) {
  const SweepFile sweep = read(
      "scenario: one-gpu-poisson\naxes:\n"
      "  engine.block_size: {from: 8, to: 256, points: 6, scale: log}\n"
      "  engine.gpu_memory_utilization: {from: 0.5, to: 0.9, points: 5}\n"
      "  workload.arrivals.rate: {from: 30/min, to: 8/s, points: 5, scale: log}\n"
      "  engine.max_num_seqs: {from: 1, to: 4, points: 9, whole: true}\n");
  const auto words = [&](std::size_t axis) {
    std::string text;
    for (const AxisValue& v : sweep.axes[axis].values) text += v.word + " ";
    return text;
  };
  EXPECT_EQ(words(0), "8 16 32 64 128 256 ");
  EXPECT_EQ(words(1), "0.5 0.6 0.7 0.8 0.9 ");
  EXPECT_EQ(words(2), "0.5/s 1/s 2/s 4/s 8/s ");
  EXPECT_EQ(sweep.axes[2].unit, "1/s");
  EXPECT_EQ(sweep.axes[2].values[4].number, 8);
  EXPECT_EQ(words(3), "1 2 3 4 ");
}

TEST(Sweep, NamedValuesMayBeWholeSections) {
  const SweepFile sweep = read(
      "scenario: one-gpu-poisson\n"
      "axes: {engine: {named: {hf: {preset: hf-generate, max_num_seqs: 4}, v0: {preset: vllm-v0}}}}\n");
  EXPECT_EQ(sweep.axes[0].unit, "");
  EXPECT_EQ(sweep.axes[0].values[0].word, "hf");
  Shelf shelf;
  EXPECT_EQ(load_point(sweep, sweep.point(0), shelf).engine.scheduler.scheduler, "hf-generate");
  EXPECT_EQ(load_point(sweep, sweep.point(1), shelf).engine.preset, "vllm-v0");
}

TEST(Sweep, MistakesArePlaced) {
  const std::string head = "scenario: one-gpu-poisson\naxes:\n";
  const std::pair<std::string, std::string> cases[] = {
      {head + "  engine.blok_size: [8]\n",
       "3:3: error: unknown key 'blok_size' in 'engine'; did you mean 'block_size'?"},
      {head + "  engine.block_size: [8, 0]\n", "3:26: error: engine.block_size: 0 is too small; expected at least 1"},
      {head + "  hardware: [a10]\n", "3:14: error: hardware: no entry 'a10' in configs/hardware; did you mean 'a10g'?"},
      {head + "  engine.block_size: [8, 8]\n", "3:26: error: axes.engine.block_size[1]: 8 stands here twice"},
      {head + "  engine.block_size: []\n", "3:22: error: axes.engine.block_size: no value; expected at least one"},
      {head + "  engine.block_size: 8\n",
       "3:22: error: axes.engine.block_size: expected a list, a range {from, to, points} or {named: {NAME: VALUE}}"},
      {head + "  engine.block_size: {from: 8, to: 64 GiB, points: 3}\n",
       "3:36: error: axes.engine.block_size.to: '64 GiB' is not of the kind of '8'"},
      {head + "  engine.block_size: {from: 0, to: 64, points: 3, scale: log}\n",
       "3:29: error: axes.engine.block_size.from: must be above zero on a logarithmic scale"},
      {head + "  engine.block_size: {from: 8, to: 64, point: 3}\n",
       "3:22: error: axes.engine.block_size: missing key 'points'"},
      {head + "  seed: [1, 2]\n", "3:3: error: seed: give seeds beside the axes, as 'seeds'"},
      {head + "  engine.block_size: [8]\nseed: 3\n", "4:1: error: unknown key 'seed'; did you mean 'seeds'?"},
      {head + "  engine.block_size: [8]\nseeds: [1, 1]\n", "4:12: error: seeds[1]: stands here twice"},
      {head + "  engine.block_size: [8]\nzip:\n  - {engine.max_num_seqs: [1, 2], seed: [1]}\n",
       "5:35: error: seed: give seeds beside the axes, as 'seeds'"},
      {head + "  engine.block_size: [8]\nzip:\n  - {engine.max_num_seqs: [1, 2], model: [llama-3.1-8b]}\n",
       "5:35: error: model: 1 values beside 2; axes that vary together have equally many"},
      {"scenario: one-gpu-poisson\n", "1:1: error: nothing varies; expected 'axes', 'zip' or 'seeds'"},
      {"scenario: one-gpu-poison\naxes: {engine.block_size: [8]}\n",
       "1:11: error: scenario: no entry 'one-gpu-poison' in configs/scenarios; did you mean 'one-gpu-poisson'?"},
      {"scenario: one-gpu-poisson\nset: {engine.blck_size: 8}\nseeds: 2\n",
       "2:7: error: unknown key 'blck_size' in 'engine'; did you mean 'block_size'?"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(problem_of(text), message) << text;
}

// A value that only works beside some values of another axis is no mistake.
TEST(Sweep, AValueThatOnePointCanUseIsGood) {
  EXPECT_EQ(problem_of("scenario: one-gpu-poisson\naxes:\n  model: [llama-2-7b, llama-3.1-8b]\n"
                       "  engine.max_model_len: [2048, 8192]\n"),
            "none");
  EXPECT_EQ(problem_of("scenario: one-gpu-poisson\naxes:\n  engine.preset: [hf-generate]\n"
                       "  engine.block_size: [8, 16]\n"),
            "4:23: error: engine.block_size: has no effect with kv_allocator 'dynamic'");
}

TEST(Sweep, AModelThatDoesNotFitIsNoMistake) {
  EXPECT_EQ(problem_of("scenario: one-gpu-poisson\naxes: {model: [llama-3.1-70b, llama-3.1-8b]}\n"), "none");
}

}  // namespace
}  // namespace headroom
