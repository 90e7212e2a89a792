// Hugging Face's config.json, key by key as the Hub has them, or our YAML with a subset of the same keys.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "sim/config/catalogue.h"

namespace headroom {
namespace {

constexpr std::int64_t kMost = 1'000'000'000;
constexpr double kMostParameters = 1e15;

class ModelReader {
 public:
  ModelReader(const std::string& file) : map_(load_yaml(file).map()), json_(file.ends_with(".json")) {
    m_.name = std::filesystem::path(file).stem().string();
    if (json_ && m_.name == "config") m_.name = std::filesystem::path(file).parent_path().filename().string();
  }

  ModelShape read() {
    if (const auto name = map_.find(json_ ? "_name_or_path" : "name");
        name && name->is_scalar() && !name->text().empty())
      m_.name = name->text();
    const Value type = map_.at("model_type");
    m_.family = type.text();
    const auto family =
        std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& f) { return f.name == m_.family; });
    if (family == kFamilies.end()) {
      std::vector<std::string_view> known;
      for (const Family& f : kFamilies) known.push_back(f.name);
      type.fail(fmt::format("no model family '{}'{}", m_.family, suggestion(m_.family, known)));
    }
    read_sizes();
    (this->*family->read)();
    read_dtype();
    check();
    if (!json_) {
      map_.find("source");
      map_.done();
    }
    return m_;
  }

 private:
  struct Family {
    std::string_view name;
    void (ModelReader::*read)();
  };

  std::optional<Value> any(std::initializer_list<std::string_view> keys) const {
    for (const std::string_view key : keys)
      if (const auto value = map_.find(key); value && !value->is_null()) return value;
    return std::nullopt;
  }
  std::int64_t size(std::initializer_list<std::string_view> keys) const {
    const auto value = any(keys);
    if (!value) map_.fail(fmt::format("missing key '{}'", *keys.begin()));
    return value->integer(1, kMost);
  }
  std::int64_t size_or(std::initializer_list<std::string_view> keys, std::int64_t otherwise) const {
    const auto value = any(keys);
    return value ? value->integer(1, kMost) : otherwise;
  }
  bool flag(std::string_view key, bool otherwise) const {
    const auto value = any({key});
    return value ? value->boolean() : otherwise;
  }

  void read_sizes() {
    m_.num_layers = size({"num_hidden_layers", "n_layer"});
    m_.hidden_size = size({"hidden_size", "n_embd", "d_model"});
    m_.num_heads = size({"num_attention_heads", "n_head"});
    m_.vocab_size = size({"vocab_size"});
    m_.max_position_embeddings = size_or({"max_position_embeddings", "n_positions", "seq_length"}, 2048);
  }

  void head_dim(bool required_division = true) {
    if (const auto d = any({"head_dim"})) {
      m_.head_dim = d->integer(1, kMost);
    } else {
      if (required_division && m_.hidden_size % m_.num_heads != 0)
        map_.fail(fmt::format("hidden_size ({}) is not divisible by num_attention_heads ({}); give head_dim",
                              m_.hidden_size, m_.num_heads));
      m_.head_dim = m_.hidden_size / m_.num_heads;
    }
  }

  void llama() {
    m_.num_kv_heads = size_or({"num_key_value_heads"}, m_.num_heads);
    m_.intermediate_size = size({"intermediate_size"});
    head_dim();
    m_.tie_word_embeddings = flag("tie_word_embeddings", false);
    if (flag("attention_bias", false)) m_.qkv_bias = m_.out_bias = true;
  }
  void mistral() {
    llama();
    window(m_.num_layers);
  }
  void qwen2() {
    llama();
    m_.qkv_bias = true;
    m_.out_bias = false;
    if (flag("use_sliding_window", false))
      window(m_.num_layers - size_or({"max_window_layers"}, m_.num_layers));
    else
      any({"sliding_window", "max_window_layers"});
  }
  void qwen3() {
    llama();
    m_.qk_norm = true;
    flag("use_sliding_window", false);
    any({"sliding_window", "max_window_layers"});
  }
  void gemma2() {
    llama();
    m_.tie_word_embeddings = flag("tie_word_embeddings", true);
    m_.norms_per_layer = 4;
    window((m_.num_layers + 1) / 2);
  }
  void window(std::int64_t layers) {
    const auto w = any({"sliding_window"});
    if (w && layers > 0) m_.sliding_window = SlidingWindow{w->integer(1, kMost), layers};
  }
  void opt() {
    m_.num_kv_heads = m_.num_heads;
    head_dim();
    m_.intermediate_size = size({"ffn_dim"});
    m_.gated_mlp = false;
    m_.qkv_bias = m_.out_bias = m_.mlp_bias = m_.norm_bias = true;
    m_.tie_word_embeddings = flag("tie_word_embeddings", true);
    m_.position_rows = m_.max_position_embeddings + 2;
    const auto project = any({"word_embed_proj_dim"});
    if (project && project->integer(1, kMost) != m_.hidden_size)
      project->fail("embeddings of another size than hidden_size (OPT-350M) are not supported");
  }
  void gpt2() {
    m_.num_kv_heads = m_.num_heads;
    head_dim();
    m_.intermediate_size = size_or({"n_inner", "intermediate_size"}, 4 * m_.hidden_size);
    m_.gated_mlp = false;
    m_.qkv_bias = m_.out_bias = m_.mlp_bias = m_.norm_bias = true;
    m_.tie_word_embeddings = flag("tie_word_embeddings", true);
    m_.position_rows = m_.max_position_embeddings;
  }
  void gpt_neox() {
    m_.num_kv_heads = m_.num_heads;
    head_dim();
    m_.intermediate_size = size({"intermediate_size"});
    m_.gated_mlp = false;
    m_.qkv_bias = m_.out_bias = m_.mlp_bias = m_.norm_bias = true;
    m_.tie_word_embeddings = flag("tie_word_embeddings", false);
  }
  void falcon() {
    head_dim();
    m_.intermediate_size = size_or({"ffn_hidden_size"}, 4 * m_.hidden_size);
    m_.gated_mlp = false;
    m_.norm_bias = true;
    m_.tie_word_embeddings = flag("tie_word_embeddings", true);
    if (flag("bias", false)) m_.qkv_bias = m_.out_bias = m_.mlp_bias = true;
    if (flag("new_decoder_architecture", false)) {
      m_.num_kv_heads = size({"num_kv_heads"});
      m_.norms_per_layer = 2;
    } else {
      m_.num_kv_heads = flag("multi_query", true) ? 1 : m_.num_heads;
      m_.norms_per_layer = flag("parallel_attn", true) ? 1 : 2;
    }
  }
  void mixtral() {
    llama();
    any({"sliding_window"});
    m_.experts = Experts{size({"num_local_experts"}), size({"num_experts_per_tok"}), m_.intermediate_size, 0, 0, false};
  }
  void qwen3_moe() {
    qwen3();
    m_.experts = Experts{size({"num_experts", "num_local_experts"}),
                         size({"num_experts_per_tok"}),
                         size({"moe_intermediate_size"}),
                         0,
                         0,
                         false};
  }
  void deepseek() {
    m_.num_kv_heads = size_or({"num_key_value_heads"}, m_.num_heads);
    m_.intermediate_size = size({"intermediate_size"});
    m_.tie_word_embeddings = flag("tie_word_embeddings", false);
    LatentAttention latent;
    if (const auto rank = any({"q_lora_rank"})) latent.q_lora_rank = rank->integer(1, kMost);
    latent.kv_lora_rank = size({"kv_lora_rank"});
    latent.qk_nope_head_dim = size({"qk_nope_head_dim"});
    latent.qk_rope_head_dim = size({"qk_rope_head_dim"});
    latent.v_head_dim = size({"v_head_dim"});
    m_.latent_attention = latent;
    m_.head_dim = latent.v_head_dim;
    const auto dense = any({"first_k_dense_replace"});
    const auto shared = any({"n_shared_experts"});
    m_.experts = Experts{size({"n_routed_experts"}),           size({"num_experts_per_tok"}),
                         size({"moe_intermediate_size"}),      shared ? shared->integer(0, kMost) : 0,
                         dense ? dense->integer(0, kMost) : 0, m_.family == "deepseek_v3"};
  }

  void read_dtype() {
    const auto value = any({"torch_dtype", "dtype"});
    if (!value) return;
    const auto dtype = dtype_named(value->text());
    if (!dtype) {
      std::vector<std::string_view> known;
      for (const DTypeEntry& e : kDTypes) known.push_back(e.name);
      value->fail(fmt::format("no dtype '{}'{}", value->text(), suggestion(value->text(), known)));
    }
    m_.dtype = *dtype;
  }

  // Counts of weights are whole numbers of 64 bits; the largest models have some 1e12.
  double most_parameters() const {
    const auto d = [](std::int64_t n) { return static_cast<double>(n); };
    const double heads = d(m_.num_heads) * d(m_.head_dim);
    double ffn = d(m_.intermediate_size);
    if (const auto& e = m_.experts) ffn += d(e->intermediate_size) * (d(e->num_experts) + d(e->num_shared));
    double layer = d(m_.hidden_size) * (4 * heads + 3 * ffn + 16);
    if (const auto& l = m_.latent_attention)
      layer += (d(l->q_lora_rank.value_or(0)) + d(l->kv_lora_rank) + d(m_.hidden_size)) * (d(m_.num_heads) + 1) *
               (d(l->qk_nope_head_dim) + d(l->qk_rope_head_dim) + d(l->v_head_dim));
    return d(m_.num_layers) * layer + d(m_.hidden_size) * (2 * d(m_.vocab_size) + 2 * d(m_.max_position_embeddings));
  }

  void check() const {
    if (most_parameters() > kMostParameters)
      map_.fail(
          fmt::format("the sizes make {:.2g} parameters; expected at most {:.0g}", most_parameters(), kMostParameters));
    if (m_.num_heads % m_.num_kv_heads != 0)
      map_.fail(fmt::format("num_attention_heads ({}) is not divisible by num_key_value_heads ({})", m_.num_heads,
                            m_.num_kv_heads));
    if (m_.experts && m_.experts->experts_per_token > m_.experts->num_experts)
      map_.fail(fmt::format("num_experts_per_tok ({}) exceeds the number of experts ({})",
                            m_.experts->experts_per_token, m_.experts->num_experts));
    if (m_.experts && m_.experts->num_dense_layers >= m_.num_layers)
      map_.fail("first_k_dense_replace leaves no layer with experts");
  }

  static const std::array<Family, 13> kFamilies;
  Map map_;
  bool json_;
  ModelShape m_;
};

const std::array<ModelReader::Family, 13> ModelReader::kFamilies{{
    {"llama", &ModelReader::llama},
    {"mistral", &ModelReader::mistral},
    {"qwen2", &ModelReader::qwen2},
    {"qwen3", &ModelReader::qwen3},
    {"gemma2", &ModelReader::gemma2},
    {"opt", &ModelReader::opt},
    {"gpt2", &ModelReader::gpt2},
    {"gpt_neox", &ModelReader::gpt_neox},
    {"falcon", &ModelReader::falcon},
    {"mixtral", &ModelReader::mixtral},
    {"qwen3_moe", &ModelReader::qwen3_moe},
    {"deepseek_v2", &ModelReader::deepseek},
    {"deepseek_v3", &ModelReader::deepseek},
}};

}  // namespace

ModelShape read_model(const std::string& file) {
  return ModelReader(file).read();
}

}  // namespace headroom
