// Hugging Face's own config.json, with all that does not concern us.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/config/catalogue.h"

namespace headroom {
namespace {

ModelShape read_json(const std::string& text) {
  const auto folder = std::filesystem::temp_directory_path() / ("headroom_model_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << text;
  return read_model((folder / "config.json").string());
}

TEST(ModelReader, HuggingFaceConfigJson) {
  const ModelShape m = read_json(R"({
    "_name_or_path": "meta-llama/Llama-3.1-8B", "architectures": ["LlamaForCausalLM"], "attention_bias": false,
    "bos_token_id": 128000, "eos_token_id": [128001, 128008], "hidden_act": "silu", "hidden_size": 4096,
    "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false,
    "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 8.0, "rope_type": "llama3"},
    "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    "transformers_version": "4.43.0.dev0", "use_cache": true, "vocab_size": 128256})");
  EXPECT_EQ(m.name, "meta-llama/Llama-3.1-8B");
  EXPECT_EQ(count_parameters(m).total(), 8'030'261'248);
  EXPECT_EQ(m.dtype, DType::kBfloat16);
}

TEST(ModelReader, Gpt2AndFalconSpellTheirSizesDifferently) {
  EXPECT_EQ(count_parameters(read_json(R"({"model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
    "n_layer": 12, "n_positions": 1024, "vocab_size": 50257, "n_inner": null})"))
                .total(),
            124'439'808);
  EXPECT_EQ(count_parameters(read_json(R"({"model_type": "falcon", "hidden_size": 4544, "num_attention_heads": 71,
    "num_hidden_layers": 32, "vocab_size": 65024, "multi_query": true, "parallel_attn": true, "bias": false,
    "new_decoder_architecture": false, "alibi": false})"))
                .total(),
            6'921'720'704);
}

TEST(ModelReader, SlidingWindowsOfMistralAndQwen) {
  const char* mistral =
      R"({"model_type": "mistral", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
    "num_hidden_layers": 32, "intermediate_size": 14336, "vocab_size": 32000, "sliding_window": SW})";
  std::string with = mistral, without = mistral;
  with.replace(with.find("SW"), 2, "4096");
  without.replace(without.find("SW"), 2, "null");
  EXPECT_EQ(read_json(with).sliding_window->num_layers, 32);
  EXPECT_FALSE(read_json(without).sliding_window);
}

}  // namespace
}  // namespace headroom
