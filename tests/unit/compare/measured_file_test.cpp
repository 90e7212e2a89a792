#include <gtest/gtest.h>

#include "sim/config/errors.h"
#include "sim/workload/text_file.h"
#include "tests/support/program.h"
#include "validate/compare/measured.h"

namespace headroom {
namespace {

constexpr const char* kHead = R"(measured: something
source: somebody
scenario:
  model: llama-3.2-1b
  hardware: h100-sxm
  engine: {preset: vllm-v1-2025}
  workload: {requests: 4, arrivals: {process: batch}, prompt_tokens: 8, output_tokens: 8}
)";

class MeasuredFileTest : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  std::vector<MeasuredCase> read(const std::string& rest) { return read_measured(write("m.yaml", kHead + rest)); }
  std::string wrong(const std::string& text) {
    try {
      read_measured(write("m.yaml", text));
      return "";
    } catch (const std::exception& error) {
      return error.what();
    }
  }
  testing::Scratch folder_;
};

TEST_F(MeasuredFileTest, CasesLieOverTheCommonScenario) {
  const auto cases = read(
      "part: fit\nnote: all.\ncases:\n  plain: {metrics: {ttft_s.mean: 1 s}}\n"
      "  large:\n    note: own.\n    scenario: {engine: {max_num_seqs: 7}, workload: {requests: 9}}\n"
      "    metrics: {ttft_s.mean: 2 s, duration_s: 3 s}\n");
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_TRUE(cases[0].fitted);
  EXPECT_EQ(cases[0].name, "plain");
  EXPECT_EQ(cases[0].scenario.workload.requests, 4);
  EXPECT_EQ(cases[1].note, "all. own.");
  EXPECT_EQ(cases[1].scenario.workload.requests, 9);
  EXPECT_EQ(cases[1].scenario.engine.scheduler.max_num_seqs, 7);
  ASSERT_EQ(cases[1].values.size(), 2u);
  EXPECT_EQ(cases[1].values[0].measure->name, "duration_s");  // in the order of measures()
}

TEST_F(MeasuredFileTest, EachRowOfATableIsACase) {
  write("t.csv", "kind,batch,time\nx,2,0.5\ny,3,0.6\nx,4,0.7\n");
  const auto cases = read(
      "tables:\n  - file: t.csv\n    where: {kind: x}\n    name: batch $batch\n"
      "    scenario: {engine: {max_num_seqs: $batch}, workload: {requests: $batch}}\n    metrics: {ttft_s.mean: $time "
      "s}\n");
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[1].name, "batch 4");
  EXPECT_EQ(cases[1].scenario.workload.requests, 4);
  EXPECT_DOUBLE_EQ(cases[1].values[0].value, 0.7);
}

TEST_F(MeasuredFileTest, AMetricStandsBeforeTheSameOneOfAFile) {
  write("r.csv", "arrival_s,first_token_s,finish_s,prompt_tokens,output_tokens\n0,1,2,8,8\n");
  const auto cases = read("cases:\n  c: {requests: r.csv, metrics: {ttft_s.mean: [3 s, 5 s]}}\n");
  for (const MeasuredValue& v : cases[0].values) {
    if (v.measure->name != "ttft_s.mean") continue;
    EXPECT_DOUBLE_EQ(v.value, 4);
    EXPECT_DOUBLE_EQ(v.spread, 0.25);
  }
}

TEST_F(MeasuredFileTest, MistakesArePlaced) {
  write("t.csv", "kind,batch\nx,2\n");
  const std::string head = kHead;
  const std::pair<std::string, const char*> cases[] = {
      {head, "m.yaml:1:1: error: expected 'cases' or 'tables'"},
      {head + "cases: {}\n", "no case"},
      {head + "cases: {c: {}}\n", "nothing measured"},
      {head + "cases: {c: {metric: {ttft_s.mean: 1 s}}}\n",
       "unknown key 'metric' in 'cases.c'; did you mean 'metrics'?"},
      {head + "cases: {c: {metrics: {ttft_s.men: 1 s}}}\n",
       "m.yaml:8:35: error: cases.c.metrics.ttft_s.men: no metric"},
      {head + "cases: {c: {scenario: {engine: {max_num_seq: 2}}, metrics: {ttft_s.mean: 1 s}}}\n",
       "did you mean 'max_num_seqs'?"},
      {head + "cases: {c: {requests: nowhere.csv}}\n", "no file 'nowhere.csv'"},
      {head + "part: train\ncases: {c: {metrics: {ttft_s.mean: 1 s}}}\n", "expected fit or judge"},
      {head + "tables: [{file: t.csv, where: {kind: z}, name: n, metrics: {ttft_s.mean: 1 s}}]\n", "no row"},
      {head + "tables: [{file: t.csv, where: {kin: x}, name: n, metrics: {ttft_s.mean: 1 s}}]\n", "no column 'kin'"},
      {head + "tables: [{file: t.csv, where: {kind: x}, name: $batc, metrics: {ttft_s.mean: 1 s}}]\n",
       "did you mean 'batch'?"},
      {"source: s\nscenario: {}\ncases: {}\n", "missing key 'measured'"},
      {head + "extra: 1\ncases: {c: {metrics: {ttft_s.mean: 1 s}}}\n", "unknown key 'extra'"},
  };
  for (const auto& [text, message] : cases) EXPECT_NE(wrong(text).find(message), std::string::npos) << wrong(text);
}

TEST_F(MeasuredFileTest, AFileCutShortIsAnErrorOrAnotherFile) {
  const std::string whole = std::string(kHead) + "cases:\n  c: {metrics: {ttft_s.mean: [1 s, 2 s]}}\n";
  EXPECT_EQ(wrong(whole), "");
  for (std::size_t cut = 0; cut + 20 < whole.size(); ++cut) EXPECT_NE(wrong(whole.substr(0, cut)), "") << cut;
}

TEST_F(MeasuredFileTest, AFolderWithNothingInIt) {
  try {
    read_measured(folder_ / "");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("expected measured.yaml"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace headroom
