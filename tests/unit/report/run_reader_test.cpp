#include "sim/output/run_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/config/errors.h"
#include "sim/report/metrics.h"
#include "sim/report/provenance.h"
#include "sim/report/run_charts.h"
#include "tests/support/program.h"

namespace headroom {
namespace {

using testing::Scratch;

std::vector<RecordedRun> run_of(const Scratch& scratch, const std::string& scenario, const std::string& settings) {
  const testing::Said said = testing::headroom("run " HEADROOM_SOURCE_DIR "/configs/scenarios/" + scenario +
                                               ".yaml --quiet " + settings + " --out " + scratch / "o");
  EXPECT_EQ(said.code, 0) << said.err;
  return read_runs(scratch / "o");
}

// Latencies from requests.csv are those that summary.json was made of: also with several samples a request.
TEST(RunReader, LatenciesAgreeWithTheSummary) {
  for (const auto& [scenario, settings] : {std::pair{"one-gpu-poisson", "--set workload.requests=100"},
                                           std::pair{"samples-cow", "--set workload.requests=20"}}) {
    const Scratch scratch;
    for (const RecordedRun& run : run_of(scratch, scenario, settings))
      for (const auto& [which, field] : {std::pair{Latency::kTtft, "ttft_s"}, std::pair{Latency::kTpot, "tpot_s"},
                                         std::pair{Latency::kE2el, "e2el_s"}}) {
        std::vector<double> values = latencies(run, which);
        std::erase_if(values, [](double v) { return std::isnan(v); });
        ASSERT_FALSE(values.empty());
        double sum = 0;
        for (const double v : values) sum += v;
        const std::string path = std::string("latency.") + field;
        EXPECT_NEAR(sum / static_cast<double>(values.size()) / run.summary.number(path + ".mean"), 1, 1e-9)
            << scenario << " " << field;
        EXPECT_NEAR(*std::max_element(values.begin(), values.end()) / run.summary.number(path + ".max"), 1, 1e-9)
            << scenario << " " << field;
      }
  }
}

TEST(RunReader, EveryMetricOfTheReportIsInASummary) {
  const Scratch scratch;
  const RecordedRun run = run_of(scratch, "one-gpu-poisson", "--set workload.requests=50").front();
  for (const Metric& metric : metrics())
    EXPECT_FALSE(std::isnan(run.summary.number(std::string(metric.path)))) << metric.path;
  for (const SlotState& state : kSlotStates)
    EXPECT_FALSE(std::isnan(run.summary.number("memory.waste." + std::string(state.field)))) << state.field;
  EXPECT_TRUE(std::isnan(run.summary.number("no.such")));
}

TEST(RunReader, VariantsAreRunsOfTheirOwn) {
  const Scratch scratch;
  const std::vector<RecordedRun> runs = run_of(scratch, "hello", "");
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].name, "hf");
  EXPECT_EQ(runs[1].name, "vllm");
  EXPECT_EQ(read_runs(scratch / "o/vllm/").front().name, "vllm") << "a slash at the end is no name";
}

TEST(Provenance, FactsHaveSourcesAndTheInputsAreChecked) {
  const Scratch scratch;
  RecordedRun run = run_of(scratch, "one-gpu-poisson", "--set workload.requests=50").front();
  const Provenance p = provenance_of(run);
  EXPECT_EQ(p.device, "NVIDIA H100 80GB HBM3");
  EXPECT_GT(p.facts.size(), 20U);
  for (const HardwareFact& fact : p.facts) {
    EXPECT_FALSE(fact.source.empty()) << fact.name;
    EXPECT_TRUE(fact.evidence == "measured" || fact.evidence == "fitted" || fact.evidence == "datasheet" ||
                fact.evidence == "assumed")
        << fact.evidence;
  }
  EXPECT_TRUE(
      std::any_of(p.facts.begin(), p.facts.end(), [](const HardwareFact& f) { return f.name == "table: gemm"; }));
  EXPECT_NE(state_of_inputs(run).find("byte for byte"), std::string::npos);
  run.summary.texts["scenario.sha256"] = "other";
  EXPECT_NE(state_of_inputs(run).find("has changed"), std::string::npos);
  run.scenario = "hardware: no-such-card\n";
  EXPECT_NE(provenance_of(run).problem.find("no-such-card"), std::string::npos);
}

TEST(RecordedTable, DamageIsPlaced) {
  const Scratch scratch;
  const auto problem = [&](const std::string& text) -> std::string {
    std::ofstream(scratch / "t.csv") << text;
    try {
      RecordedTable::load(scratch / "t.csv", {"a", "b"});
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    }
  };
  EXPECT_EQ(problem("a,b\n1,2\n3,\n"), "");
  EXPECT_NE(problem("a,c\n1,2\n").find("t.csv:1:1: error: no column 'b'"), std::string::npos) << problem("a,c\n1,2\n");
  EXPECT_NE(problem("a,b\n1,2\n3\n").find("t.csv:3:1: error: the row is cut off"), std::string::npos);
  EXPECT_NE(problem("a,b\n1,2\n3,4").find("t.csv:3:1: error: the row is cut off"), std::string::npos);
  EXPECT_NE(problem(""), "");
  const RecordedTable table = [&] {
    std::ofstream(scratch / "t.csv") << "a,b,s\r\n1e-3,,x\r\n";
    return RecordedTable::load(scratch / "t.csv", {"a", "b"}, "s");
  }();
  EXPECT_EQ(table["a"].front(), 1e-3);
  EXPECT_TRUE(std::isnan(table["b"].front()));
  EXPECT_EQ(table.texts().front(), "x");
}

}  // namespace
}  // namespace headroom
