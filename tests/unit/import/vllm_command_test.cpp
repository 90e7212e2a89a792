#include <gtest/gtest.h>

#include <boost/program_options.hpp>

#include "sim/import/import.h"
#include "sim/import/vllm_flags.h"

namespace headroom {
namespace {

using Settings = std::vector<VllmSetting>;

Settings settings(const std::string& line) {
  return parse_vllm_command(split_command(line)).settings;
}

TEST(VllmCommand, FlagsInEverySpelling) {
  const Settings expected{{"model", "org/m"}, {"max-model-len", "8192"}};
  for (const char* line :
       {"vllm serve org/m --max-model-len 8192", "vllm serve org/m --max_model_len=8192",
        "/opt/venv/bin/vllm serve org/m --max-model-len \\\n 8192",
        "python3 -m vllm.entrypoints.openai.api_server --model org/m --max-model-len=8192",
        "docker run --gpus all -p 8000:8000 vllm/vllm-openai:latest --model org/m --max-model-len 8192"})
    EXPECT_EQ(settings(line), expected) << line;
  EXPECT_EQ(
      settings("vllm serve m -tp 2 -O3 -q=awq"),
      (Settings{{"model", "m"}, {"tensor-parallel-size", "2"}, {"optimization-level", "3"}, {"quantization", "awq"}}));
}

TEST(VllmCommand, Switches) {
  EXPECT_EQ(settings("vllm serve m --enable-prefix-caching --no-enable-chunked-prefill --enforce-eager=False"),
            (Settings{{"model", "m"},
                      {"enable-prefix-caching", "true"},
                      {"enable-chunked-prefill", "false"},
                      {"enforce-eager", "false"}}));
  EXPECT_EQ(settings("vllm serve --trust-remote-code m"), (Settings{{"trust-remote-code", "true"}, {"model", "m"}}))
      << "a switch takes no value";
  EXPECT_EQ(settings("vllm serve m --no-such-thing x"), (Settings{{"model", "m"}, {"no-such-thing", "x"}}));
}

TEST(VllmCommand, QuotedJsonAndVersions) {
  EXPECT_EQ(settings(R"(vllm serve m --speculative-config '{"method": "ngram"}')").back().second,
            R"({"method": "ngram"})");
  EXPECT_EQ(parse_vllm_command({"docker", "run", "vllm/vllm-openai:v0.8.5", "--model", "m"}).version, "0.8.5");
  EXPECT_TRUE(parse_vllm_command({"VLLM_USE_V1=0", "vllm", "serve", "m"}).v0);
}

TEST(VllmCommand, WordsAsAShellSplitsThem) {
  EXPECT_EQ(split_command(R"(a  'b "c" \d' "e 'f' \"g" h\ i '' "")"),
            (std::vector<std::string>{"a", R"(b "c" \d)", R"(e 'f' "g)", "h i", "", ""}));
  EXPECT_EQ(split_command("a \\\n  b$(x) `y`\n"), (std::vector<std::string>{"a", "b$(x)", "`y`"}));
  EXPECT_THROW(split_command("a 'b"), boost::program_options::error);
}

TEST(VllmCommand, NoServerIsAnError) {
  for (const char* line : {"llama-server -m x", "vllm bench serve --model m", "", "vllm"})
    EXPECT_THROW(settings(line), boost::program_options::error) << line;
  EXPECT_THROW(settings("vllm serve m --max-model-len"), boost::program_options::error);
}

TEST(VllmCommand, EveryFlagIsThereOnceAndModelledKeysBelongToSections) {
  for (const VllmFlag& flag : vllm_flags()) {
    EXPECT_EQ(vllm_flag(flag.name), &flag) << flag.name;
    EXPECT_TRUE(flag.key.empty() || flag.key.starts_with("engine.") || flag.key.starts_with("cluster.")) << flag.key;
  }
}

TEST(VllmCommand, NumbersAsPeopleWriteThem) {
  EXPECT_EQ(human_readable_int("4096"), 4096);
  EXPECT_EQ(human_readable_int("4k"), 4000);
  EXPECT_EQ(human_readable_int("4K"), 4096);
  EXPECT_EQ(human_readable_int("1.5M"), 1572864);
  EXPECT_EQ(human_readable_int("25.5g"), 25500000000);
  EXPECT_FALSE(human_readable_int("many"));
  EXPECT_FALSE(human_readable_int("-1"));
  EXPECT_FALSE(human_readable_int(""));
}

TEST(VllmCommand, ModelNames) {
  const std::pair<const char*, const char*> cases[] = {
      {"meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"},
      {"NousResearch/Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b"},
      {"meta-llama/Llama-2-7b-chat-hf", "llama-2-7b"},
      {"Qwen/Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b"},
      {"Qwen/Qwen3-30B-A3B", "qwen3-30b-a3b"},
      {"mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b"},
      {"/home/user/.cache/huggingface/hub/models--facebook--opt-125m/snapshots/27dcfa74", "opt-125m"},
      {"/models/gemma-2-9b-it/", "gemma-2-9b"},
  };
  for (const auto& [given, ours] : cases) EXPECT_EQ(catalogue_model(given), ours) << given;
  for (const char* given : {"org/Llama-3.1-8B-something-else", "mnt/models", ""})
    EXPECT_FALSE(catalogue_model(given)) << given;
}

}  // namespace
}  // namespace headroom
