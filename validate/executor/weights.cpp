#include "validate/executor/weights.h"

#include <cmath>
#include <stdexcept>

namespace headroom {

const char* why_not_executed(const ModelShape& m) {
  if (m.experts) return "experts";
  if (m.latent_attention) return "latent attention";
  if (m.sliding_window) return "a sliding window";
  if (m.norms_per_layer != 2) return "more than two norms a layer";
  if (m.head_dim != 64 && m.head_dim != 128) return "a head size other than 64 and 128";
  if (m.num_heads / m.num_kv_heads > 16) return "more than 16 query heads for each KV head";
  if (m.family != "llama" && m.family != "mistral" && m.family != "qwen2" && m.family != "qwen3" && m.family != "opt")
    return "a family other than llama, mistral, qwen2, qwen3 and opt";
  if (m.vocab_size % 8 != 0 || m.hidden_size % 8 != 0 || m.intermediate_size % 8 != 0)
    return "sizes that are no multiples of 8";
  return nullptr;
}

WeightLayout weight_layout(const ModelShape& m) {
  WeightLayout w;
  const auto add = [&](std::string name, std::int64_t rows, std::int64_t columns, float scale, float shift) {
    const auto number = static_cast<int>(w.tensors.size());
    w.tensors.push_back(
        WeightTensor{std::move(name), w.elements, rows, columns, static_cast<std::uint64_t>(number) + 1, scale, shift});
    w.elements += rows * columns;
    return number;
  };
  const std::int64_t h = m.hidden_size, f = m.intermediate_size, q = m.query_size(), kv = m.kv_size();
  // Uniform numbers whose sums over `inputs` have a standard deviation of about one.
  const auto spread = [](std::int64_t inputs) {
    return static_cast<float>(std::sqrt(3.0 / static_cast<double>(inputs)));
  };
  const auto norm = [&](const std::string& name, int& weight, int& bias) {
    weight = add(name, 1, h, 0.1f, 1);
    if (m.norm_bias) bias = add(name + "_bias", 1, h, 0.1f, 0);
  };
  w.embedding = add("embedding", m.vocab_size, h, 1, 0);
  if (m.position_rows > 0) w.positions = add("positions", m.position_rows, h, 0.5f, 0);
  for (std::int64_t i = 0; i < m.num_layers; ++i) {
    LayerTensors& t = w.layers.emplace_back();
    const std::string at = "layer" + std::to_string(i) + ".";
    norm(at + "norm1", t.norm1, t.norm1_bias);
    t.qkv = add(at + "qkv", q + 2 * kv, h, spread(h), 0);
    if (m.qkv_bias) t.qkv_bias = add(at + "qkv_bias", 1, q + 2 * kv, 0.1f, 0);
    if (m.qk_norm) {
      t.q_norm = add(at + "q_norm", 1, m.head_dim, 0.1f, 1);
      t.k_norm = add(at + "k_norm", 1, m.head_dim, 0.1f, 1);
    }
    t.out = add(at + "out", h, q, spread(q), 0);
    if (m.out_bias) t.out_bias = add(at + "out_bias", 1, h, 0.1f, 0);
    norm(at + "norm2", t.norm2, t.norm2_bias);
    t.up = add(at + "up", m.gated_mlp ? 2 * f : f, h, spread(h), 0);
    if (m.mlp_bias) t.up_bias = add(at + "up_bias", 1, f, 0.1f, 0);
    t.down = add(at + "down", h, f, spread(f), 0);
    if (m.mlp_bias) t.down_bias = add(at + "down_bias", 1, h, 0.1f, 0);
  }
  norm("final_norm", w.final_norm, w.final_norm_bias);
  w.lm_head = m.tie_word_embeddings ? w.embedding : add("lm_head", m.vocab_size, h, 1, 0);
  if (const std::int64_t counted = count_parameters(m).total(); counted != w.elements)
    throw std::logic_error("the executor has " + std::to_string(w.elements) + " parameters of " + m.name +
                           ", the simulator counts " + std::to_string(counted));
  return w;
}

std::vector<float> rotary_table(std::int64_t length, std::int64_t head_dim) {
  std::vector<float> table;
  table.reserve(static_cast<std::size_t>(length * head_dim));
  for (std::int64_t p = 0; p < length; ++p)
    for (std::int64_t i = 0; i < head_dim / 2; ++i) {
      const double angle =
          static_cast<double>(p) * std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
      table.push_back(static_cast<float>(std::cos(angle)));
      table.push_back(static_cast<float>(std::sin(angle)));
    }
  return table;
}

}  // namespace headroom
