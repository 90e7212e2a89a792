#include "sim/import/vllm_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>

namespace headroom {
namespace {

namespace po = boost::program_options;
constexpr auto kModelled = FlagEffect::kModelled, kNotSimulated = FlagEffect::kNotSimulated,
               kNoBearing = FlagEffect::kNoBearing;

constexpr VllmFlag kFlags[] = {
    {"model", "", kModelled, ""},
    {"dtype", "", kModelled, ""},
    {"quantization", "-q", kModelled, ""},
    {"kv-cache-dtype", "", kModelled, ""},
    {"tensor-parallel-size", "-tp", kModelled, "cluster.tensor_parallel_size"},
    {"pipeline-parallel-size", "-pp", kModelled, "cluster.pipeline_parallel_size"},
    {"data-parallel-size", "-dp", kModelled, "cluster.replicas"},
    {"enable-expert-parallel", "-ep", kModelled, "cluster.enable_expert_parallel", false},
    {"max-model-len", "", kModelled, "engine.max_model_len"},
    {"block-size", "", kModelled, "engine.block_size"},
    {"max-num-seqs", "", kModelled, "engine.max_num_seqs"},
    {"max-num-batched-tokens", "", kModelled, "engine.max_num_batched_tokens"},
    {"gpu-memory-utilization", "", kModelled, "engine.gpu_memory_utilization"},
    {"kv-cache-memory-bytes", "", kModelled, ""},
    {"num-gpu-blocks-override", "", kModelled, "engine.num_gpu_blocks_override"},
    {"enable-prefix-caching", "", kModelled, "engine.enable_prefix_caching", false},
    {"enable-chunked-prefill", "", kModelled, "engine.enable_chunked_prefill", false},
    {"long-prefill-token-threshold", "", kModelled, "engine.long_prefill_token_threshold"},
    {"scheduler-reserve-full-isl", "", kModelled, "engine.scheduler_reserve_full_isl", false},
    {"async-scheduling", "", kModelled, "engine.async_scheduling", false},
    {"enforce-eager", "", kModelled, "engine.enforce_eager", false},
    {"swap-space", "", kModelled, ""},
    {"kv-offloading-size", "", kModelled, ""},
    {"preemption-mode", "", kModelled, "engine.preemption_mode"},
    {"speculative-config", "-sc", kModelled, ""},

    {"enable-lora", "", kNotSimulated, "", false},
    {"enable-prompt-adapter", "", kNotSimulated, "", false},
    {"cpu-offload-gb", "", kNotSimulated, ""},
    {"kv-offloading-backend", "", kNotSimulated, ""},
    {"kv-transfer-config", "", kNotSimulated, ""},
    {"kv-cache-dtype-skip-layers", "", kNotSimulated, ""},
    {"decode-context-parallel-size", "-dcp", kNotSimulated, ""},
    {"prefill-context-parallel-size", "-pcp", kNotSimulated, ""},
    {"enable-eplb", "", kNotSimulated, "", false},
    {"enable-dbo", "", kNotSimulated, "", false},
    {"data-parallel-hybrid-lb", "-dph", kNotSimulated, "", false},
    {"scheduling-policy", "", kNotSimulated, ""},
    {"scheduler-delay-factor", "", kNotSimulated, ""},
    {"num-scheduler-steps", "", kNotSimulated, ""},
    {"num-lookahead-slots", "", kNotSimulated, ""},
    {"max-num-partial-prefills", "", kNotSimulated, ""},
    {"max-long-partial-prefills", "", kNotSimulated, ""},
    {"disable-chunked-mm-input", "", kNotSimulated, "", false},
    {"limit-mm-per-prompt", "", kNotSimulated, ""},
    {"stream-interval", "", kNotSimulated, ""},
    {"rope-scaling", "", kNotSimulated, ""},
    {"rope-theta", "", kNotSimulated, ""},
    {"hf-overrides", "", kNotSimulated, ""},
    {"disable-sliding-window", "", kNotSimulated, "", false},
    {"compilation-config", "-cc", kNotSimulated, ""},
    {"optimization-level", "-O", kNotSimulated, ""},
    {"cudagraph-capture-sizes", "", kNotSimulated, ""},
    {"max-cudagraph-capture-size", "", kNotSimulated, ""},
    {"attention-backend", "", kNotSimulated, ""},
    {"additional-config", "", kNotSimulated, ""},
    {"speculative-model", "", kNotSimulated, ""},
    {"num-speculative-tokens", "", kNotSimulated, ""},
    {"config", "", kNotSimulated, ""},
    {"task", "", kNotSimulated, ""},
    {"runner", "", kNotSimulated, ""},
    {"mamba-block-size", "", kNotSimulated, ""},
    {"mamba-cache-dtype", "", kNotSimulated, ""},

    {"host", "", kNoBearing, ""},
    {"port", "", kNoBearing, ""},
    {"uds", "", kNoBearing, ""},
    {"api-key", "", kNoBearing, ""},
    {"served-model-name", "", kNoBearing, ""},
    {"tokenizer", "", kNoBearing, ""},
    {"tokenizer-mode", "", kNoBearing, ""},
    {"tokenizer-revision", "", kNoBearing, ""},
    {"tokenizer-pool-size", "", kNoBearing, ""},
    {"skip-tokenizer-init", "", kNoBearing, "", false},
    {"trust-remote-code", "", kNoBearing, "", false},
    {"revision", "", kNoBearing, ""},
    {"code-revision", "", kNoBearing, ""},
    {"hf-config-path", "", kNoBearing, ""},
    {"hf-token", "", kNoBearing, ""},
    {"download-dir", "", kNoBearing, ""},
    {"load-format", "", kNoBearing, ""},
    {"config-format", "", kNoBearing, ""},
    {"model-impl", "", kNoBearing, ""},
    {"model-loader-extra-config", "", kNoBearing, ""},
    {"safetensors-load-strategy", "", kNoBearing, ""},
    {"use-tqdm-on-load", "", kNoBearing, "", false},
    {"generation-config", "", kNoBearing, ""},
    {"override-generation-config", "", kNoBearing, ""},
    {"seed", "", kNoBearing, ""},
    {"max-logprobs", "", kNoBearing, ""},
    {"logprobs-mode", "", kNoBearing, ""},
    {"max-seq-len-to-capture", "", kNoBearing, ""},
    {"chat-template", "", kNoBearing, ""},
    {"chat-template-content-format", "", kNoBearing, ""},
    {"response-role", "", kNoBearing, ""},
    {"tool-call-parser", "", kNoBearing, ""},
    {"tool-parser-plugin", "", kNoBearing, ""},
    {"tool-server", "", kNoBearing, ""},
    {"enable-auto-tool-choice", "", kNoBearing, "", false},
    {"reasoning-parser", "", kNoBearing, ""},
    {"enable-reasoning", "", kNoBearing, "", false},
    {"guided-decoding-backend", "", kNoBearing, ""},
    {"structured-outputs-config", "", kNoBearing, ""},
    {"disable-log-requests", "", kNoBearing, "", false},
    {"enable-log-requests", "", kNoBearing, "", false},
    {"disable-log-stats", "", kNoBearing, "", false},
    {"max-log-len", "", kNoBearing, ""},
    {"uvicorn-log-level", "", kNoBearing, ""},
    {"disable-uvicorn-access-log", "", kNoBearing, "", false},
    {"disable-fastapi-docs", "", kNoBearing, "", false},
    {"enable-request-id-headers", "", kNoBearing, "", false},
    {"enable-server-load-tracking", "", kNoBearing, "", false},
    {"enable-prompt-tokens-details", "", kNoBearing, "", false},
    {"enable-force-include-usage", "", kNoBearing, "", false},
    {"show-hidden-metrics-for-version", "", kNoBearing, ""},
    {"otlp-traces-endpoint", "", kNoBearing, ""},
    {"collect-detailed-traces", "", kNoBearing, ""},
    {"allow-credentials", "", kNoBearing, "", false},
    {"allowed-origins", "", kNoBearing, ""},
    {"allowed-methods", "", kNoBearing, ""},
    {"allowed-headers", "", kNoBearing, ""},
    {"allowed-local-media-path", "", kNoBearing, ""},
    {"ssl-keyfile", "", kNoBearing, ""},
    {"ssl-certfile", "", kNoBearing, ""},
    {"ssl-ca-certs", "", kNoBearing, ""},
    {"root-path", "", kNoBearing, ""},
    {"middleware", "", kNoBearing, ""},
    {"distributed-executor-backend", "", kNoBearing, ""},
    {"worker-use-ray", "", kNoBearing, "", false},
    {"nnodes", "-n", kNoBearing, ""},
    {"node-rank", "-r", kNoBearing, ""},
    {"master-addr", "", kNoBearing, ""},
    {"master-port", "", kNoBearing, ""},
    {"headless", "", kNoBearing, "", false},
    {"api-server-count", "-asc", kNoBearing, ""},
    {"data-parallel-size-local", "-dpl", kNoBearing, ""},
    {"data-parallel-address", "-dpa", kNoBearing, ""},
    {"data-parallel-rpc-port", "-dpp", kNoBearing, ""},
    {"data-parallel-backend", "-dpb", kNoBearing, ""},
    {"data-parallel-start-rank", "-dpr", kNoBearing, ""},
    {"max-parallel-loading-workers", "", kNoBearing, ""},
    {"disable-custom-all-reduce", "", kNoBearing, "", false},
    {"device", "", kNoBearing, ""},
    {"use-v2-block-manager", "", kNoBearing, "", false},
    {"prefix-caching-hash-algo", "", kNoBearing, ""},
    {"enable-sleep-mode", "", kNoBearing, "", false},
    {"return-tokens-as-token-ids", "", kNoBearing, "", false},
};

bool is_flag(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9');
}

bool is_truth(const std::string& word) {
  return word == "true" || word == "True" || word == "false" || word == "False";
}

// Where the server's arguments begin; puts what came before into `command`.
std::size_t begin_of_arguments(const std::vector<std::string>& words, VllmCommand& command) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "VLLM_USE_V1=0") command.v0 = true;
    if (word.find("vllm.entrypoints.") != std::string::npos) return i + 1;
    const std::string name = word.substr(word.rfind('/') == std::string::npos ? 0 : word.rfind('/') + 1);
    if (name == "vllm" && i + 1 < words.size() && words[i + 1] == "serve") return i + 2;
    if (name.starts_with("vllm-openai")) {  // vllm/vllm-openai:v0.8.3
      if (const std::size_t tag = name.find(":v"); tag != std::string::npos) command.version = name.substr(tag + 2);
      return i + 1;
    }
  }
  throw po::error(
      "no vLLM server in this command; expected 'vllm serve MODEL ...', 'python -m vllm.entrypoints...' or "
      "'docker run ... vllm/vllm-openai ...', or the name of a log file");
}

}  // namespace

std::span<const VllmFlag> vllm_flags() {
  return kFlags;
}

const VllmFlag* vllm_flag(std::string_view word) {
  std::string name(word);
  std::replace(name.begin(), name.end(), '_', '-');
  for (const VllmFlag& flag : kFlags)
    if (flag.name == name) return &flag;
  return nullptr;
}

// As POSIX sh does, without expansions: '...' is literal, a backslash takes what follows as it is, in "..." only before
// '"' and itself. boost's split_unix() ends '...' at a '"', so JSON would not survive it.
std::vector<std::string> split_command(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool begun = false;  // an empty pair of quotes is a word too
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const char next = i + 1 < line.size() ? line[i + 1] : '\0';
    if (c == '\\' && quote != '\'' && next != '\0' && (quote == 0 || next == '"' || next == '\\' || next == '\n')) {
      ++i;
      if (next == '\n') continue;  // joins lines
      word += next;
      begun = true;
    } else if (quote != 0 ? c == quote : c == '\'' || c == '"') {
      quote = quote != 0 ? '\0' : c;
      begun = true;
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
      if (begun) words.push_back(std::move(word));
      word.clear();
      begun = false;
    } else {
      word += c;
      begun = true;
    }
  }
  if (quote != 0) throw po::error("the command ends within quotes");
  if (begun) words.push_back(std::move(word));
  return words;
}

VllmCommand parse_vllm_command(const std::vector<std::string>& words) {
  VllmCommand command;
  for (std::size_t i = begin_of_arguments(words, command); i < words.size(); ++i) {
    std::string word = words[i];
    if (!is_flag(word)) {
      command.settings.emplace_back("model", word);
      continue;
    }
    std::string value;
    const std::size_t equals = word.find('=');
    const bool has_value = equals != std::string::npos;
    if (has_value) {
      value = word.substr(equals + 1);
      word.resize(equals);
    }
    const VllmFlag* flag = nullptr;
    bool negated = false;
    if (word.starts_with("--")) {
      word.erase(0, 2);
      std::replace(word.begin(), word.end(), '_', '-');
      flag = vllm_flag(word.substr(0, word.find('.')));  // --compilation-config.mode 3
      if (flag == nullptr && word.starts_with("no-")) {
        flag = vllm_flag(word.substr(3));
        negated = flag != nullptr && !flag->takes_value;
        if (!negated) flag = nullptr;
      }
    } else {
      for (const VllmFlag& known : kFlags)
        if (!known.brief.empty() && (word == known.brief || (known.brief == "-O" && word.starts_with("-O"))))
          flag = &known;
      if (flag != nullptr && word.size() > flag->brief.size()) value = word.substr(flag->brief.size());
      word.erase(0, 1);
    }
    const bool next_is_value = i + 1 < words.size() && !is_flag(words[i + 1]);
    if (flag != nullptr && !flag->takes_value) {
      if (!has_value && next_is_value && is_truth(words[i + 1])) value = words[++i];
      const bool on = value.empty() || value == "true" || value == "True";
      command.settings.emplace_back(flag->name, on != negated ? "true" : "false");
      continue;
    }
    if (!has_value && value.empty() && next_is_value) value = words[++i];
    if (flag != nullptr && flag->effect == FlagEffect::kModelled && value.empty())
      throw po::error(fmt::format("--{}: expected a value after it", flag->name));
    command.settings.emplace_back(flag != nullptr ? std::string(flag->name) : word, value);
  }
  return command;
}

}  // namespace headroom
