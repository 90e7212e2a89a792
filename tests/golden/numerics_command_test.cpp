// headroom numerics from outside: what it prints, what it refuses, and that nothing is ignored.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

using Json = nlohmann::json;
const std::string kSample = HEADROOM_SOURCE_DIR "/validate/activations/sample/";
const std::string kProse = kSample + "prose.npy";

TEST(NumericsCommand, CastOfRecordedActivations) {
  const Json j = Json::parse(headroom("numerics " + kProse + " --to fp8_e5m2 --hardware a10g --json").out);
  EXPECT_EQ(j["to"], "fp8_e5m2");
  EXPECT_EQ(j["total"]["values"], 24 * 8 * 256);
  EXPECT_EQ(j["total"]["overflow"], 0);
  EXPECT_EQ(j["tensors"][0]["name"], "prose");
  EXPECT_EQ(j["tensors"][0]["worst_channels"].size(), 3u);
  EXPECT_EQ(j["remedies"][0]["bytes"], 24 * 8 * 256);
  // Two bits of mantissa: a relative error of at most 1/8, a mean near 1/24 to 1/16.
  EXPECT_NEAR(j["total"]["relative_error"]["mean"].get<double>(), 0.05, 0.02);
  const double read = j["remedies"][0]["read_time_s"];
  EXPECT_NEAR(read, 24 * 8 * 256 / (600e9 * 0.8), 1e-12);
}

TEST(NumericsCommand, AScenarioSaysWhatBytesDisplace) {
  const Json j = Json::parse(headroom("numerics " + kProse + " --to mxfp4 --min-sqnr 60 --json --scenario " +
                                      HEADROOM_SOURCE_DIR "/configs/scenarios/chat-a10g.yaml")
                                 .out);
  EXPECT_EQ(j["broken_tensors"], 1);
  const Json& bfloat16 = j["remedies"][1];
  EXPECT_EQ(bfloat16["name"], "bfloat16 instead");
  const double more = bfloat16["bytes"].get<double>() - j["remedies"][0]["bytes"].get<double>();
  EXPECT_NEAR(bfloat16["kv_tokens_less"].get<double>(), more / 524'288, 1e-9);  // Llama-2-7B
}

TEST(NumericsCommand, CalibrationShowsEverySetOnEveryTask) {
  std::string tasks;
  for (const char* task : {"prose", "tables"})
    tasks += " --calibration " + std::string(task) + "=" + kSample + task + ".npy";
  const Said table = headroom("numerics --to int8 --draws 2" + tasks);
  EXPECT_EQ(table.code, 0);
  for (const char* word :
       {"min-max", "entropy", "per channel", "dynamic", "only tables", "stratified", "greedy", "enough"})
    EXPECT_NE(table.out.find(word), std::string::npos) << word;
  const Json j = Json::parse(headroom("numerics " + kSample + "code.npy --to int8 --json --draws 2" + tasks).out);
  EXPECT_EQ(j["tasks"].size(), 3u);
  EXPECT_EQ(j["tasks"][2]["pool_samples"], 0);  // FILE is judged, not learned from
  EXPECT_EQ(j["sets"].size(), 5u);
  for (const Json& set : j["sets"]) EXPECT_EQ(set["tasks"].size(), 3u);
}

TEST(NumericsCommand, RefusesWhatItWouldIgnore) {
  for (const char* arguments : {"numerics",
                                "numerics @PROSE",
                                "numerics --to float16",
                                "numerics @PROSE --to float15",
                                "numerics @PROSE --to float16 --group-size 64",
                                "numerics @PROSE --to int8 --saturate",
                                "numerics @PROSE --to float16 --observer mse",
                                "numerics @PROSE --to float16 --hardware a10",
                                "numerics @PROSE --to float16 --hardware a10g --scenario x.yaml",
                                "numerics @PROSE --to float16 --top -1",
                                "numerics @PROSE --to awq --group-size 4",
                                "numerics @PROSE --to float16 --channels middle",
                                "numerics --to int8 --calibration @PROSE",
                                "numerics --to mxfp4 --calibration a=@PROSE",
                                "numerics --to int8 --calibration a=@PROSE --tasks b",
                                "numerics --to int8 --calibration a=@PROSE --calibration a=@PROSE",
                                "numerics --to int8 --calibration a=@PROSE --top 3",
                                "numerics --to int8 --calibration a=@PROSE --observer means",
                                "numerics --to fp8_e4m3 --calibration a=@PROSE --observer entropy",
                                "numerics @TEXT --to float16",
                                "numerics /dev/null --to float16"}) {
    std::string words = arguments;
    for (const auto& [name, path] :
         {std::pair<std::string, std::string>{"@PROSE", kProse}, {"@TEXT", HEADROOM_SOURCE_DIR "/README.md"}})
      for (std::size_t at; (at = words.find(name)) != std::string::npos;) words.replace(at, name.size(), path);
    const Said said = headroom(words);
    EXPECT_EQ(said.code, 2) << arguments;
    EXPECT_EQ(said.out, "") << arguments;
    EXPECT_NE(said.err.find("error: "), std::string::npos) << arguments;
  }
}

}  // namespace
}  // namespace headroom::testing
