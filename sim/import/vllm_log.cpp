#include "sim/import/vllm_log.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace headroom {
namespace {

// The text after `words` in `line`; none if they are not there.
std::optional<std::string_view> after(std::string_view line, std::string_view words) {
  const std::size_t at = line.find(words);
  if (at == std::string_view::npos) return std::nullopt;
  return line.substr(at + words.size());
}

// A number at the start, thousands parted by commas, spaces before; none above 1e15, which nothing in a log counts.
std::optional<double> number_at(std::string_view text) {
  std::string digits;
  for (const char c : text.substr(std::min(text.size(), text.find_first_not_of(" \t(")))) {
    if (c == ',') continue;
    if ((c < '0' || c > '9') && c != '.') break;
    digits += c;
  }
  if (digits.ends_with('.')) digits.pop_back();
  double value = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return problem == std::errc{} && value <= 1e15 ? std::optional(value) : std::nullopt;
}

void keep_least(std::optional<std::int64_t>& least, double value) {
  const auto whole = static_cast<std::int64_t>(value);
  least = least ? std::min(*least, whole) : whole;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::string unquoted(std::string_view text) {
  text = trimmed(text);
  const bool quoted = text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front();
  return std::string(quoted ? text.substr(1, text.size() - 2) : text);
}

// What a Python list, call or dictionary holds, from after its opening bracket to its end, cut at the commas of its own
// level.
std::vector<std::string_view> items_of(std::string_view text) {
  std::vector<std::string_view> items;
  int depth = 0;
  char quote = 0;
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\') ++i;
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}') {
      if (depth-- == 0) {
        items.push_back(text.substr(from, i - from));
        return items;
      }
    } else if (c == ',' && depth == 0) {
      items.push_back(text.substr(from, i - from));
      from = i + 1;
    }
  }
  items.push_back(text.substr(from));
  return items;
}

// "name=value" or "'name': value".
std::optional<std::pair<std::string, std::string>> pair_of(std::string_view item) {
  const std::size_t sign = item.find_first_of("=:");
  if (sign == std::string_view::npos) return std::nullopt;
  return std::pair(unquoted(item.substr(0, sign)), unquoted(item.substr(sign + 1)));
}

bool is_default(const std::string& value) {
  for (const char* word : {"None", "False", "0", "0.0", "1", "1.0", "fcfs", "auto", "", "[]", "{}"})
    if (value == word) return true;
  return false;
}

void set(VllmLog& log, std::string_view flag, const std::string& value) {
  log.command.settings.emplace_back(flag, value == "True" ? "true" : value == "False" ? "false" : value);
}

// "args: Namespace(...)" lists every argument, defaults too; "non-default args: {...}" what the user gave.
void read_arguments(std::string_view text, VllmLog& log) {
  for (const std::string_view item : items_of(text)) {
    const auto pair = pair_of(item);
    const VllmFlag* flag = pair ? vllm_flag(pair->first == "model_tag" ? "model" : pair->first) : nullptr;
    if (flag == nullptr || flag->effect == FlagEffect::kNoBearing || pair->second == "None" || pair->second.empty())
      continue;
    if (flag->effect == FlagEffect::kModelled || !is_default(pair->second)) set(log, flag->name, pair->second);
  }
}

// "Initializing a V1 LLM engine (v0.8.3) with config: model='...', dtype=torch.bfloat16, ...": what the engine made of
// its arguments.
void read_engine(std::string_view text, VllmLog& log) {
  struct Name {
    std::string_view in_log, flag;
  };
  constexpr std::array kNames{Name{"model", "model"},
                              Name{"dtype", "dtype"},
                              Name{"max_seq_len", "max-model-len"},
                              Name{"tensor_parallel_size", "tensor-parallel-size"},
                              Name{"pipeline_parallel_size", "pipeline-parallel-size"},
                              Name{"data_parallel_size", "data-parallel-size"},
                              Name{"quantization", "quantization"},
                              Name{"enforce_eager", "enforce-eager"},
                              Name{"kv_cache_dtype", "kv-cache-dtype"},
                              Name{"enable_prefix_caching", "enable-prefix-caching"},
                              Name{"chunked_prefill_enabled", "enable-chunked-prefill"},
                              Name{"enable_chunked_prefill", "enable-chunked-prefill"}};
  for (const std::string_view item : items_of(text)) {
    const auto pair = pair_of(item);
    if (!pair || pair->second == "None") continue;
    for (const Name& name : kNames)
      if (pair->first == name.in_log)
        set(log, name.flag, pair->second.starts_with("torch.") ? pair->second.substr(6) : pair->second);
  }
  log.is_start_up = true;
}

std::string version_at(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('v')) text.remove_prefix(1);
  return std::string(text.substr(0, text.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz.+")));
}

void read_memory(std::string_view line, VllmLog& log) {
  const auto gib = [&](std::string_view words, std::optional<double>& to) {
    if (const auto rest = after(line, words))
      if (const auto value = number_at(*rest)) to = value;
  };
  gib("total_gpu_memory", log.gpu_memory_gib);
  gib("Loading model weights took", log.weights_gib);
  gib("Model loading took", log.weights_gib);
  gib("model weights take", log.weights_gib);
  gib("PyTorch activation peak memory takes", log.activation_gib);
  gib("PyTorch activation peak memory   ", log.activation_gib);
  gib("Available KV cache memory:", log.kv_cache_gib);
  gib("reserved for KV Cache is", log.kv_cache_gib);
  gib("available_kv_cache_memory", log.kv_cache_gib);
  gib("Estimated CUDA graph memory:", log.cuda_graph_gib);
  if (line.find("Graph capturing finished") != std::string_view::npos && !log.cuda_graph_gib)
    gib("took", log.cuda_graph_gib);
  for (const std::string_view words : {"# GPU blocks:", "# cuda blocks:", "# CUDA blocks:"})
    if (const auto rest = after(line, words))
      if (const auto value = number_at(*rest)) keep_least(log.gpu_blocks, *value);
  if (const auto rest = after(line, "GPU KV cache size:"))
    if (const auto value = number_at(*rest)) keep_least(log.kv_tokens, *value);
  if (const auto rest = after(line, "gpu_memory_utilization ("))
    set(log, "gpu-memory-utilization", std::string(rest->substr(0, rest->find(')'))));
  if (const auto rest = after(line, "Chunked prefill is enabled with max_num_batched_tokens="))
    if (const auto value = number_at(*rest))
      set(log, "max-num-batched-tokens", std::to_string(static_cast<std::int64_t>(*value)));
}

}  // namespace

VllmLog parse_vllm_log(std::string_view text) {
  VllmLog log;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (const auto rest = after(line, "API server version")) log.command.version = version_at(*rest);
    if (const auto rest = after(line, "args: Namespace(")) read_arguments(*rest, log);
    if (const auto rest = after(line, "non-default args: {")) read_arguments(*rest, log);
    if (const auto rest = after(line, " LLM engine (v")) {
      log.command.version = version_at(*rest);
      log.command.v0 = line.find("Initializing a V1") == std::string_view::npos;
      if (const auto config = after(*rest, "with config:")) read_engine(*config, log);
    }
    if (line.find("Asynchronous scheduling is enabled") != std::string_view::npos) set(log, "async-scheduling", "true");
    if (line.find("Asynchronous scheduling is disabled") != std::string_view::npos)
      set(log, "async-scheduling", "false");
    if (const auto rest = after(line, "GPU 0: ")) log.device = std::string(trimmed(rest->substr(0, rest->find('('))));
    read_memory(line, log);
  }
  return log;
}

}  // namespace headroom
