// Every broken file under bad/ gets its message, its exit code, and leaves nothing behind. Expected messages stand in
// bad/expected.txt; HEADROOM_UPDATE_GOLDEN=1 writes them anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <vector>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

namespace fs = std::filesystem;
const fs::path kBad = fs::path(HEADROOM_SOURCE_DIR) / "tests/golden/bad";

std::vector<std::string> broken_files() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kBad))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string without_folder(std::string text) {
  const std::string folder = kBad.string() + "/";
  for (std::size_t at; (at = text.find(folder)) != std::string::npos;) text.erase(at, folder.size());
  return text;
}

TEST(BadInput, GetsItsMessage) {
  const std::vector<std::string> files = broken_files();
  EXPECT_GE(files.size(), 60U);
  std::string said;
  for (const std::string& file : files) {
    const Said s = headroom("check " + (kBad / file).string());
    EXPECT_EQ(s.code, 2) << file;
    EXPECT_EQ(s.out, "") << file;
    said += without_folder(s.err);
  }
  const fs::path expected = kBad / "expected.txt";
  if (std::getenv("HEADROOM_UPDATE_GOLDEN") != nullptr) std::ofstream(expected) << said;
  std::istringstream ours(said), golden(text_of_file(expected));
  for (std::string a, b; std::getline(ours, a);) {
    std::getline(golden, b);
    EXPECT_EQ(a, b);
  }
}

TEST(BadInput, WritesNothing) {
  const Scratch scratch;
  for (const char* file : {"unknown-key.yaml", "does-not-fit.yaml", "trace-nowhere.yaml"}) {
    const Said s = headroom("run " + (kBad / file).string() + " --out " + scratch / "never");
    EXPECT_EQ(s.code, 2);
    EXPECT_FALSE(fs::exists(scratch / "never"));
  }
}

// A run reads the rows of its model's types and heads; check reads the tables to the end.
TEST(BadInput, ADamagedTableIsPlacedByUseAndByCheck) {
  const Scratch scratch;
  const fs::path hardware = fs::path(HEADROOM_SOURCE_DIR) / "configs/hardware";
  fs::create_directories(scratch / "tables");
  std::ofstream(scratch / "card.yaml") << text_of_file(hardware / "h100-sxm.yaml");
  for (const char* table : {"gemm-h100-sxm", "gemm-h100-sxm-fp8", "decode-h100-sxm", "prefill-h100-sxm"})
    fs::copy(hardware / "tables" / (std::string(table) + ".csv"), scratch / "tables");
  const std::string row = "bfloat16,16,8,3,oops\n";  // 16 heads of queries
  std::ofstream(scratch / "tables/decode-h100-sxm.csv", std::ios::app) << row;
  const auto scenario = [&](const char* file, const char* model) {
    std::ofstream(scratch / file) << "model: " << model
                                  << "\nhardware: card.yaml\nengine: {preset: vllm-v1-2025}\nworkload: {requests: 1, "
                                     "prompt_tokens: 8, output_tokens: 2, arrivals: {process: batch}}\n";
    return scratch / file;
  };
  const std::string other = scenario("32.yaml", "llama-3.1-8b"), same = scenario("16.yaml", "qwen3-0.6b");
  EXPECT_EQ(headroom("run --quiet " + other).code, 0);
  for (const std::string& command :
       {"run --quiet " + same, "check " + same, "check " + other, "check " + (scratch / "card.yaml")}) {
    const Said s = headroom(command);
    EXPECT_EQ(s.code, 2) << command;
    EXPECT_NE(s.err.find("decode-h100-sxm.csv:794:1: error: context_tokens: expected a number"), std::string::npos)
        << s.err;
  }
}

TEST(BadInput, ADamagedTraceIsPlaced) {
  const Scratch scratch;
  const std::string whole = text_of_file(fs::path(HEADROOM_SOURCE_DIR) / "configs/traces/azure-conv-2023.csv.gz");
  std::ofstream(scratch / "half.csv.gz", std::ios::binary) << whole.substr(0, whole.size() / 2);
  std::ofstream(scratch / "s.yaml") << "model: llama-2-7b\nhardware: a10g\nengine: {preset: vllm-v0}\n"
                                       "workload:\n  trace: {format: azure, path: half.csv.gz}\n";
  const Said s = headroom("run " + scratch / "s.yaml");
  EXPECT_EQ(s.code, 2) << s.err;
  EXPECT_NE(s.err.find("half.csv.gz"), std::string::npos) << s.err;
}

TEST(BadInput, OverridesSayWhichOne) {
  const Said s = headroom("check " HEADROOM_SOURCE_DIR "/configs/scenarios/hello.yaml");
  EXPECT_EQ(s.code, 0) << s.err;
  const Said wrong = headroom("run " HEADROOM_SOURCE_DIR "/configs/scenarios/hello.yaml --set workload.request=5");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.err,
            "--set workload.request=5: error: unknown key 'request' in 'workload'; did you mean 'requests'?\n");
}

}  // namespace
}  // namespace headroom::testing
