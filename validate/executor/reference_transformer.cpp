#include "validate/executor/reference_transformer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "validate/kernels/host_element.h"
#include "validate/kernels/random_values.h"

namespace headroom {
namespace {

using Vector = std::vector<double>;

class Reference {
 public:
  Reference(const ModelShape& model, Element element) : m_(model), layout_(weight_layout(model)), element_(element) {
    for (const WeightTensor& t : layout_.tensors) {
      Vector& values = values_.emplace_back();
      for (std::int64_t i = 0; i < t.count(); ++i)
        values.push_back(static_cast<double>(number_of(
            element, bits_of(element, random_value(t.seed, static_cast<std::uint64_t>(i), t.scale) + t.shift))));
    }
    keys_.resize(layout_.layers.size());
    values_of_.resize(layout_.layers.size());
  }

  // Takes in one more token; its logits.
  Vector next(std::int32_t token) {
    const std::int64_t h = m_.hidden_size, position = length_++;
    Vector x = row(layout_.embedding, token);
    if (layout_.positions >= 0) {
      const Vector p = row(layout_.positions, position + 2);  // OPT keeps two rows in front
      for (std::int64_t i = 0; i < h; ++i) x[at(i)] += p[at(i)];
    }
    for (std::size_t layer = 0; layer < layout_.layers.size(); ++layer) {
      const LayerTensors& t = layout_.layers[layer];
      Vector qkv = times(t.qkv, t.qkv_bias, normed(x, t.norm1, t.norm1_bias));
      add_to(x, times(t.out, t.out_bias, attend(layer, t, qkv, position)));
      Vector up = times(t.up, t.up_bias, normed(x, t.norm2, t.norm2_bias));
      Vector inner(at(m_.intermediate_size));
      for (std::size_t i = 0; i < inner.size(); ++i)
        inner[i] = m_.gated_mlp ? up[i] / (1 + std::exp(-up[i])) * up[i + inner.size()] : std::max(up[i], 0.0);
      add_to(x, times(t.down, t.down_bias, inner));
    }
    return times(layout_.lm_head, -1, normed(x, layout_.final_norm, layout_.final_norm_bias));
  }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  const Vector& of(int tensor) const { return values_[static_cast<std::size_t>(tensor)]; }
  Vector row(int tensor, std::int64_t i) const {
    const auto first = of(tensor).begin() + i * m_.hidden_size;
    return {first, first + m_.hidden_size};
  }
  static void add_to(Vector& x, const Vector& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }
  Vector times(int tensor, int bias, const Vector& x) const {
    Vector y(at(layout_.at(tensor).rows));
    for (std::size_t r = 0; r < y.size(); ++r) {
      y[r] = bias >= 0 ? of(bias)[r] : 0;
      for (std::size_t i = 0; i < x.size(); ++i) y[r] += of(tensor)[r * x.size() + i] * x[i];
    }
    return y;
  }
  Vector normed(const Vector& x, int weight, int bias) const {
    double mean = 0, square = 0;
    const auto n = static_cast<double>(x.size());
    if (bias >= 0)
      for (const double v : x) mean += v / n;
    for (const double v : x) square += (v - mean) * (v - mean) / n;
    Vector y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] = (x[i] - mean) / std::sqrt(square + 1e-5) * of(weight)[i] + (bias >= 0 ? of(bias)[i] : 0);
    return y;
  }
  void turn(double* head, std::int64_t position) const {
    const std::int64_t d = m_.head_dim;
    for (std::int64_t i = 0; i < d / 2; ++i) {
      const double angle =
          static_cast<double>(position) * std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(d));
      const double a = head[i], b = head[i + d / 2];
      head[i] = a * std::cos(angle) - b * std::sin(angle);
      head[i + d / 2] = b * std::cos(angle) + a * std::sin(angle);
    }
  }
  Vector attend(std::size_t layer, const LayerTensors& t, Vector& qkv, std::int64_t position) {
    const std::int64_t d = m_.head_dim, heads = m_.num_heads, kv_heads = m_.num_kv_heads;
    for (std::int64_t head = 0; head < heads + kv_heads; ++head) {
      double* x = qkv.data() + head * d;
      if (m_.qk_norm) {
        double square = 0;
        for (std::int64_t i = 0; i < d; ++i) square += x[i] * x[i] / static_cast<double>(d);
        for (std::int64_t i = 0; i < d; ++i)
          x[i] *= of(head < heads ? t.q_norm : t.k_norm)[at(i)] / std::sqrt(square + 1e-6);
      }
      if (layout_.positions < 0) turn(x, position);
    }
    Vector& keys = keys_[layer];
    Vector& values = values_of_[layer];
    keys.insert(keys.end(), qkv.begin() + heads * d, qkv.begin() + (heads + kv_heads) * d);
    values.insert(values.end(), qkv.begin() + (heads + kv_heads) * d, qkv.end());
    Vector out(at(heads * d));
    for (std::int64_t head = 0; head < heads; ++head) {
      const std::int64_t kv = head / (heads / kv_heads);
      Vector score;
      double most = -1e300, sum = 0;
      for (std::int64_t p = 0; p <= position; ++p) {
        double dot = 0;
        for (std::int64_t i = 0; i < d; ++i) dot += qkv[at(head * d + i)] * keys[at((p * kv_heads + kv) * d + i)];
        score.push_back(dot / std::sqrt(static_cast<double>(d)));
        most = std::max(most, score.back());
      }
      for (double& s : score) sum += s = std::exp(s - most);
      for (std::int64_t p = 0; p <= position; ++p)
        for (std::int64_t i = 0; i < d; ++i)
          out[at(head * d + i)] += score[at(p)] / sum * values[at((p * kv_heads + kv) * d + i)];
    }
    return out;
  }

  const ModelShape& m_;
  WeightLayout layout_;
  Element element_;
  std::vector<Vector> values_, keys_, values_of_;
  std::int64_t length_ = 0;
};

}  // namespace

std::vector<double> reference_logits(const ModelShape& model, Element element, std::span<const std::int32_t> tokens) {
  Reference reference(model, element);
  std::vector<double> logits;
  for (const std::int32_t token : tokens) logits = reference.next(token);
  return logits;
}

}  // namespace headroom
