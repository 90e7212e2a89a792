// `import` from outside: command lines and logs on the one side, scenarios that run on the other.
#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

TEST(ImportCommand, FromACommandLineToARun) {
  const Scratch scratch;
  const Said imported = headroom("import 'vllm serve facebook/opt-1.3b --max-num-seqs 32 --port 80' --hardware l4");
  ASSERT_EQ(imported.code, 0) << imported.err;
  EXPECT_EQ(imported.err, "");
  std::ofstream(scratch / "s.yaml") << imported.out;
  EXPECT_EQ(headroom("run " + scratch / "s.yaml --quiet").code, 0);
  EXPECT_EQ(headroom("import --hardware l4 -- vllm serve facebook/opt-1.3b --max-num-seqs 32 --port 80").out,
            imported.out);
  EXPECT_EQ(headroom("import 'vllm serve org/unheard-of'").code, 2);
  EXPECT_EQ(headroom("import " + scratch / "nowhere.log").code, 2);
  EXPECT_EQ(headroom("import " + scratch / "s.yaml").code, 2) << "no start-up in it";
  EXPECT_EQ(headroom("import").code, 2);
}

TEST(ImportCommand, FromALogWithItsBlocksCompared) {
  const Scratch scratch;
  std::ofstream(scratch / "x.log") << "INFO [core.py:58] Initializing a V1 LLM engine (v0.8.4) with config: "
                                      "model='facebook/opt-1.3b', dtype=torch.float16, "
                                      "max_seq_len=2048, tensor_parallel_size=1\nGPU 0: NVIDIA L4\n"
                                      "INFO [kv_cache_utils.py:634] GPU KV cache size: 80,000 tokens\n";
  const Said said = headroom("import " + scratch / "x.log");
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.err.find("5000 blocks of 16, 80000 tokens, in the log; predicted"), std::string::npos) << said.err;
  EXPECT_NE(said.out.find("hardware: l4"), std::string::npos);
}

}  // namespace
}  // namespace headroom::testing
