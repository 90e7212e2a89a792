// What makes the program pleasant: manual, completion, schema, colours.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
const std::string kConfigs = HEADROOM_SOURCE_DIR "/configs/";

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

// The names in `headroom --help`, and the options in `headroom NAME --help`.
std::vector<std::string> commands() {
  std::vector<std::string> names;
  std::istringstream lines(headroom("--help").out);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("  ") && !line.starts_with("  headroom")) names.push_back(words_of(line).front());
  return names;
}
std::vector<std::string> options(const std::string& command) {
  std::vector<std::string> names;
  std::istringstream lines(headroom(command + " --help").out);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("  --") && !line.starts_with("  --help")) names.push_back(words_of(line).front());
  return names;
}

TEST(Manual, NamesEveryCommandAndOption) {
  const std::string manual = headroom("generate man").out;
  ASSERT_GE(commands().size(), 7U);
  for (const std::string& command : commands()) {
    EXPECT_NE(manual.find(".SS " + command + " "), std::string::npos) << command;
    for (const std::string& option : options(command)) {
      std::string roff;
      for (const char c : option) roff += c == '-' ? "\\-" : std::string(1, c);
      EXPECT_NE(manual.find("\\fB" + roff + "\\fR"), std::string::npos) << command << " " << option;
    }
  }
}

TEST(Manual, IsWellFormed) {
  if (!has_program("mandoc")) GTEST_SKIP() << "mandoc is not there";
  const Scratch scratch;
  std::ofstream(scratch / "headroom.1") << headroom("generate man").out;
  const Said lint = shell("mandoc -T lint -W error " + scratch / "headroom.1");
  EXPECT_EQ(lint.code, 0) << lint.out;
}

TEST(Completion, BashKnowsCommandsOptionsWordsAndSettings) {
  if (!has_program("bash")) GTEST_SKIP() << "bash is not there";
  const Scratch scratch;
  std::ofstream(scratch / "c") << headroom("generate bash-completion").out;
  const auto complete = [&](const std::string& line) {  // the last word is the one to complete
    const std::vector<std::string> words = words_of(line);
    const Said said = shell("bash -c 'source " + scratch / "c" + "; COMP_WORDS=(" + line + "); COMP_CWORD=" +
                            std::to_string(words.size() - 1) + "; _headroom; echo \"${COMPREPLY[@]}\"'");
    EXPECT_EQ(said.code, 0) << said.err;
    return words_of(said.out);
  };
  EXPECT_EQ(complete("headroom mem"), std::vector<std::string>{"memory"});
  EXPECT_EQ(complete("headroom run --see"), std::vector<std::string>{"--seed"});
  EXPECT_EQ(complete("headroom list sched"), std::vector<std::string>{"schedulers"});
  EXPECT_EQ(complete("headroom run x.yaml --set engine.max_num_s"), std::vector<std::string>{"engine.max_num_seqs="});
  EXPECT_EQ(complete("headroom run --set workload.arrivals.burst"),
            std::vector<std::string>{"workload.arrivals.burstiness="});
  for (const std::string& command : commands())
    for (const std::string& option : options(command)) {
      const std::vector<std::string> found = complete("headroom " + command + " " + option);
      EXPECT_NE(std::find(found.begin(), found.end(), option), found.end()) << command << " " << option;
    }
}

TEST(Completion, ZshReadsIt) {
  const std::string text = headroom("generate zsh-completion").out;
  for (const std::string& command : commands()) EXPECT_NE(text.find("'" + command + ":"), std::string::npos) << command;
  if (!has_program("zsh")) GTEST_SKIP() << "zsh is not there";
  const Scratch scratch;
  std::ofstream(scratch / "_headroom") << text;
  const Said said = shell("zsh -n " + scratch / "_headroom");
  EXPECT_EQ(said.code, 0) << said.err;
}

// YAML as an editor's schema checker sees it.
Json json_of(const YAML::Node& node) {
  if (node.IsMap()) {
    Json out = Json::object();
    for (const auto& entry : node) out[entry.first.Scalar()] = json_of(entry.second);
    return out;
  }
  if (node.IsSequence()) {
    Json out = Json::array();
    for (const auto& item : node) out.push_back(json_of(item));
    return out;
  }
  if (node.IsNull()) return nullptr;
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text == "true" || text == "false") return text == "true";
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto [p, e] = std::from_chars(text.data(), end, whole); e == std::errc{} && p == end) return whole;
  double number = 0;
  if (const auto [p, e] = std::from_chars(text.data(), end, number); e == std::errc{} && p == end) return number;
  return text;
}

class SchemaOfScenarios : public ::testing::Test {
 protected:
  void SetUp() override {
    const Said said = headroom("generate schema");
    ASSERT_EQ(said.code, 0);
    const Json text = Json::parse(said.out);
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(text), schema_);
  }
  // Empty: valid.
  std::string problem(const std::string& file) const {
    const Json document = json_of(YAML::LoadFile(file));
    valijson::ValidationResults results;
    if (valijson::Validator().validate(schema_, valijson::adapters::NlohmannJsonAdapter(document), &results)) return "";
    std::string text = file + ":";
    for (valijson::ValidationResults::Error e; results.popError(e);)
      text += " " + (e.context.empty() ? "" : e.context.back()) + " " + e.description;
    return text;
  }
  valijson::Schema schema_;
};

TEST_F(SchemaOfScenarios, AcceptsEveryShippedScenario) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(kConfigs + "scenarios")) {
    EXPECT_EQ(problem(entry.path().string()), "");
    ++files;
  }
  EXPECT_GE(files, 10);
}

// A resolved scenario has every key written out, so a key that the schema lacks shows here.
TEST_F(SchemaOfScenarios, AcceptsEveryResolvedScenario) {
  const Scratch scratch;
  for (const auto& entry : fs::directory_iterator(kConfigs + "engines")) {
    const std::string preset = entry.path().stem().string();
    const Said run = headroom(
        "run " + kConfigs + "scenarios/one-gpu-poisson.yaml --quiet --set model=opt-1.3b --set workload.requests=2 " +
        "--set workload.prompt_tokens.max=500 --set workload.output_tokens.max=500 --set engine.preset=" + preset +
        (preset == "disaggregated" ? " --set 'cluster={prefill_replicas: 1, decode_replicas: 1}'" : "") + " --out " +
        scratch / preset);
    ASSERT_EQ(run.code, 0) << run.err;
    EXPECT_EQ(problem(scratch / preset + "/scenario.yaml"), "");
  }
}

TEST_F(SchemaOfScenarios, RefusesWhatAnEditorShouldUnderline) {
  for (const char* name : {"unknown-key",         "unknown-engine-key",    "unknown-arrival-key",
                           "unknown-process",     "unknown-distribution",  "unknown-router",
                           "unknown-dtype",       "unknown-quantization",  "unknown-speculation",
                           "unknown-slo",         "unknown-allocator",     "rate-without-unit",
                           "rate-with-time-unit", "bandwidth-for-time",    "host-time-without-unit",
                           "negative-seed",       "negative-prompt",       "zero-requests",
                           "zero-block-size",     "fractional-requests",   "utilization-above-one",
                           "requests-as-a-word",  "bool-as-yes",           "mean-as-text",
                           "no-workload",         "variant-with-workload", "variant-misspelt",
                           "trace-format"})
    EXPECT_NE(problem(std::string(HEADROOM_SOURCE_DIR "/tests/golden/bad/") + name + ".yaml"), "") << name;
}

TEST(Colours, OnlyOnTerminalsThatWantThem) {
  const std::string scenario = "memory " + kConfigs + "scenarios/one-gpu-poisson.yaml";
  EXPECT_EQ(headroom(scenario).out.find('\x1b'), std::string::npos) << "a pipe is no terminal";
  if (!has_program("script")) GTEST_SKIP() << "script is not there";
  const auto on_terminal = [&](const std::string& environment) {
    return shell(environment + " script -qec '" HEADROOM_BINARY " " + scenario + "' /dev/null").out;
  };
  EXPECT_NE(on_terminal("unset NO_COLOR; TERM=xterm").find("\x1b[1m"), std::string::npos);
  EXPECT_NE(on_terminal("NO_COLOR= TERM=xterm").find("\x1b[1m"), std::string::npos) << "set but empty";
  EXPECT_EQ(on_terminal("NO_COLOR=1 TERM=xterm").find('\x1b'), std::string::npos);
  EXPECT_EQ(on_terminal("unset NO_COLOR; TERM=dumb").find('\x1b'), std::string::npos);
}

TEST(Settings, EveryCommandThatTakesAScenarioTakesThem) {
  for (const std::string& command : commands()) {
    const std::string help = headroom(command + " --help").out;
    if (help.find("SCENARIO.yaml") == std::string::npos) continue;
    EXPECT_NE(help.find("--set"), std::string::npos) << command;
    const Said wrong = headroom(command + " " + kConfigs + "scenarios/hello.yaml --set engine.blocksize=8");
    EXPECT_EQ(wrong.code, 2) << command;
    EXPECT_NE(wrong.err.find("did you mean 'block_size'?"), std::string::npos) << command << ": " << wrong.err;
  }
  EXPECT_EQ(headroom("check " + kConfigs + "scenarios/hello.yaml --set workload.requests=0").code, 2);
  EXPECT_EQ(headroom("check " + kConfigs + "models/opt-13b.yaml --set num_hidden_layers=1").code, 2);
}

TEST(Scenarios, AreFoundByNameUnlessAFileIsMeant) {
  const std::string by_name = headroom("memory hello --json").out;
  EXPECT_FALSE(by_name.empty());
  EXPECT_EQ(by_name, headroom("memory " + kConfigs + "scenarios/hello.yaml --json").out);
  const Said wrong = headroom("run helo");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.err, "helo: error: no such file, and no shipped scenario of that name; did you mean 'hello'?\n");
}

TEST(Scenarios, AsRecordedRunAgainFromAnyFolder) {
  const Scratch scratch;
  fs::create_directories(scratch / "files");
  fs::copy_file(kConfigs + "models/opt-1.3b.yaml", scratch / "files/mine.yaml");
  std::ofstream(scratch / "files/lengths.csv") << "tokens\n10\n30\n";
  std::ofstream(scratch / "files/trace.csv") << "arrival_s,prompt_tokens,output_tokens\n0,20,5\n1,30,6\n";
  const std::string start = "model: mine.yaml\nhardware: l4\nengine: {preset: vllm-v0}\n";
  std::ofstream(scratch / "files/laws.yaml")
      << start
      << "workload: {requests: 9, arrivals: {process: poisson, rate: 4/s}, output_tokens: 20, "
         "prompt_tokens: {distribution: empirical, path: lengths.csv, column: tokens}}\n";
  std::ofstream(scratch / "files/replay.yaml") << start << "workload: {trace: {format: csv, path: trace.csv}}\n";
  for (const std::string name : {"laws", "replay"}) {
    const std::string once = scratch / name, again = scratch / (name + "-again");
    ASSERT_EQ(headroom("run " + scratch / ("files/" + name + ".yaml") + " --quiet --out " + once).code, 0) << name;
    const Said said = headroom("run " + once + "/scenario.yaml --quiet --out " + again);
    ASSERT_EQ(said.code, 0) << said.err;
    for (const std::string file : {"/scenario.yaml", "/requests.csv"})
      EXPECT_EQ(text_of_file(once + file), text_of_file(again + file)) << name;
    const auto hash = [](const std::string& folder) {
      return Json::parse(text_of_file(folder + "/summary.json"))["scenario"]["sha256"].get<std::string>();
    };
    EXPECT_EQ(hash(once), hash(again)) << "where the files lie is no part of it";
  }
}

TEST(Options, ThatDoNotExistNameTheNearest) {
  const Said wrong = headroom("sweep any.yaml --jbos 2");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.err, "headroom: error: no option '--jbos'; did you mean '--jobs'?\n");
  EXPECT_NE(headroom("run hello --quickly").err.find("known: --"), std::string::npos);
}

}  // namespace
}  // namespace headroom::testing
