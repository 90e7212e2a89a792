// Validation from outside: shipped cases hold their bounds, a run agrees with itself, gates and mistakes have their
// exit codes.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

using Json = nlohmann::json;
const std::string kCases = HEADROOM_SOURCE_DIR "/validate/cases/";
const std::string kSmall = HEADROOM_SOURCE_DIR "/configs/scenarios/one-gpu-poisson.yaml --set workload.requests=100";

TEST(Validate, PeakMemoryOfGenerateOnAnH100) {
  const Said said = headroom("validate " + kCases + "h100-hf-generate.yaml " + kCases +
                             "h100-hf-compiled.yaml --max-error peak_allocated_bytes=2%");
  EXPECT_EQ(said.code, 0) << said.err;
}

TEST(Validate, ARunOfVllmOnAnRtx4090) {
  const Said said = headroom("validate " + kCases +
                             "rtx4090-vllm019.yaml --max-error reported_gpu_blocks=2% --max-error requests_per_s=10% "
                             "--max-error e2el_s.mean=10% --max-error tpot_s.mean=10%");
  EXPECT_EQ(said.code, 0) << said.err;
}

TEST(Validate, AGateThatDoesNotHoldIsExitCodeOne) {
  const Said said = headroom("validate " + kCases + "rtx4090-vllm019.yaml --max-error ttft_s=0.01%");
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.err.find("ttft_s.mean is off by"), std::string::npos) << said.err;
  EXPECT_NE(said.out.find("reported_gpu_blocks"), std::string::npos);  // the report comes all the same
}

TEST(Validate, ARunAgreesWithItself) {
  const Scratch scratch;
  ASSERT_EQ(headroom("run " + kSmall + " --quiet --out " + scratch / "run").code, 0);
  const Said said = headroom("validate " + scratch / "run" + " --max-error all=0.0001%");
  EXPECT_EQ(said.code, 0) << said.err << said.out;
}

TEST(Validate, ARunsBenchmarkFileAgreesWithTheRun) {
  const Scratch scratch;
  ASSERT_EQ(
      headroom("run " + kSmall + " --quiet --vllm-bench " + scratch / "b.json" + " --out " + scratch / "run").code, 0);
  std::ofstream(scratch / "m.yaml") << "measured: bench\nsource: the run\nscenario: run/scenario.yaml\n"
                                       "cases: {c: {bench: b.json}}\n";
  const Said said = headroom("validate " + scratch / "m.yaml" + " --max-error all=0.0001%");
  EXPECT_EQ(said.code, 0) << said.err << said.out;
}

TEST(Validate, JsonHoldsEveryValueAndTheFamilies) {
  const Said said = headroom("validate --json " + kCases + "rtx4090-vllm019.yaml");
  ASSERT_EQ(said.code, 0) << said.err;
  const Json j = Json::parse(said.out);
  ASSERT_EQ(j["cases"].size(), 1u);
  EXPECT_EQ(j["cases"][0]["part"], "judge");
  for (const Json& v : j["cases"][0]["values"]) {
    EXPECT_TRUE(v["measured"].is_number());
    EXPECT_NEAR(v["error"].get<double>(), v["predicted"].get<double>() / v["measured"].get<double>() - 1, 1e-12);
    if (v["interval"].is_null()) continue;
    EXPECT_LT(v["interval"][0], v["interval"][1]);
    EXPECT_EQ(v["inside"].get<bool>(), v["interval"][0] <= v["measured"] && v["measured"] <= v["interval"][1]);
  }
  EXPECT_EQ(headroom("validate --json " + kCases + "rtx4090-vllm019.yaml").out, said.out);
}

TEST(Validate, MistakesAreExitCodeTwo) {
  for (const std::string& arguments :
       {std::string(""), std::string("nowhere.yaml"), kCases + "rtx4090-vllm019.yaml --max-error ttft=5%",
        kCases + "rtx4090-vllm019.yaml --max-error preemptions=5%", kCases + "rtx4090-vllm019.yaml --part fit",
        kCases + "rtx4090-vllm019.yaml --part some", kCases})
    EXPECT_EQ(headroom("validate " + arguments).code, 2) << arguments;
}

TEST(Validate, EveryShippedCaseCanBeSimulated) {
  std::string files;
  for (const auto& entry : std::filesystem::directory_iterator(kCases))
    if (entry.path().extension() == ".yaml") files += " " + entry.path().string();
  const Said said = headroom("validate" + files);
  EXPECT_EQ(said.code, 0) << said.err;
}

TEST(Intervals, LieAroundTheRunAndRepeat) {
  const Said said = headroom("run " + kSmall + " --json --intervals");
  ASSERT_EQ(said.code, 0) << said.err;
  const Json j = Json::parse(said.out), interval = j["prediction"]["interval"];
  EXPECT_DOUBLE_EQ(interval["level"], 0.9);
  const double tpot = j["latency"]["tpot_s"]["p50"];
  EXPECT_LT(interval["tpot_s.p50"][0], tpot);
  EXPECT_GT(interval["tpot_s.p50"][1], tpot);
  const Json again = Json::parse(headroom("run " + kSmall + " --json --intervals").out);
  EXPECT_EQ(again["prediction"], j["prediction"]);
  EXPECT_FALSE(Json::parse(headroom("run " + kSmall + " --json").out)["prediction"].contains("interval"));
}

}  // namespace
}  // namespace headroom::testing
