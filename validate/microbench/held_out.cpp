// How well tables predict what they do not hold: the simulator's own model, given two thirds of the points.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "models/kernel_time.h"
#include "models/unequal_contexts.h"
#include "validate/microbench/collective_fit.h"
#include "validate/microbench/profile.h"

namespace headroom {
namespace {

// Splitmix64's finisher over the key: neighbours in a table are drawn independently of each other. The draw was fixed
// before the points were measured that it is reported for.
bool taken_out(const MeasuredPoint& p) {
  std::uint64_t hash = 20261124;
  for (const std::int64_t k : p.key) {
    hash += static_cast<std::uint64_t>(k) + 0x9e3779b97f4a7c15ull;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ull;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebull;
    hash ^= hash >> 31;
  }
  return hash % 3 == 0;
}

AttentionOp operator_of(const MeasuredPoint& p) {
  AttentionOp op;
  op.layers = 1;
  op.head_dim = p.key[0];
  op.q_heads = p.key[1];
  op.kv_heads = p.key[2];
  op.kv_bytes_per_token_layer = 4.0 * static_cast<double>(op.kv_heads * op.head_dim);
  op.flops_per_query_key = 4.0 * static_cast<double>(op.q_heads * op.head_dim);
  return op;
}

template <class Points, class Less>
void sort_points(Points& points, Less key) {
  std::sort(points.begin(), points.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
}

// By the law fitted to two thirds of the all-reduces.
void predict_collectives(std::span<const MeasuredPoint> points, std::vector<HeldOut>& predicted) {
  const auto in_fit = [](const MeasuredPoint& p) { return is_fitted_collective(p) && !taken_out(p); };
  std::vector<MeasuredPoint> kept;
  std::copy_if(points.begin(), points.end(), std::back_inserter(kept), in_fit);
  const std::optional<CollectiveLink> link = fit_collectives(kept);
  if (!link) return;
  for (const MeasuredPoint& p : points)
    if (p.family == Family::kCollective && !in_fit(p)) predicted.push_back({&p, collective_seconds(*link, p)});
}

}  // namespace

std::vector<HeldOut> hold_out_a_third(const HardwareProfile& base, const Efficiencies& fit,
                                      std::span<const MeasuredPoint> points) {
  HardwareProfile card = base;
  const auto set = [](double& to, double fitted) {
    if (fitted > 0) to = fitted;
  };
  set(card.gemm_compute_efficiency, fit.gemm_compute);
  set(card.gemm_memory_efficiency, fit.gemm_memory);
  set(card.attention_compute_efficiency, fit.attention_compute);
  set(card.attention_memory_efficiency, fit.attention_memory);
  if (fit.kernel_fixed_us > 0) card.kernel_fixed_time = Seconds{fit.kernel_fixed_us * 1e-6};
  card.gemm_tables.assign(1, {});
  card.decode_attention_tables.assign(1, {});
  card.unequal_decode_tables.assign(1, {});
  card.prefill_attention_tables.assign(1, {});
  auto& gemms = card.gemm_tables[0].points;
  auto& decodes = card.decode_attention_tables[0].points;
  auto& unequal = card.unequal_decode_tables[0].points;
  auto& prefills = card.prefill_attention_tables[0].points;
  ForwardOps ops;
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> products;  // (n, k) -> index into ops.gemms
  std::vector<const MeasuredPoint*> held;
  for (const MeasuredPoint& p : points) {
    if (p.label != "bfloat16") continue;
    const bool out = taken_out(p);
    const Seconds time{p.seconds};
    if (p.family == Family::kGemm) {
      if (products.emplace(std::pair(p.key[1], p.key[2]), ops.gemms.size()).second)
        ops.gemms.push_back(GemmOp{"product", p.key[2], p.key[1], 1, 2.0, false, 1, 1});
      if (!out) gemms.push_back({p.key[0], p.key[1], p.key[2], time});
    } else if (p.family == Family::kDecodeAttention) {
      ops.attention.push_back(operator_of(p));
      if (!out) decodes.push_back({p.key[0], p.key[1], p.key[2], p.key[3], p.key[4], time});
    } else if (p.family == Family::kUnequalDecode) {
      if (!out) unequal.push_back({p.key[0], p.key[1], p.key[2], p.key[3], p.key[4], time});
    } else if (p.family == Family::kPrefillAttention) {
      ops.attention.push_back(operator_of(p));
      if (!out) prefills.push_back({p.key[0], p.key[1], p.key[2], p.key[3], p.key[4], p.key[5], time});
    } else {
      continue;
    }
    if (out) held.push_back(&p);
  }
  sort_points(gemms, [](const auto& p) { return std::tuple(p.n, p.k, p.m); });
  for (auto* const table : {&decodes, &unequal})
    sort_points(*table,
                [](const auto& p) { return std::tuple(p.head_dim, p.q_heads, p.kv_heads, p.batch, p.context); });
  sort_points(prefills, [](const auto& p) {
    return std::tuple(p.head_dim, p.q_heads, p.kv_heads, p.batch, p.past, p.new_tokens);
  });
  ForwardOptions options;
  options.activation_dtype = options.kv_dtype = DType::kBfloat16;
  const KernelModel model(card, ops, options);
  std::vector<HeldOut> predicted;
  for (const MeasuredPoint* p : held) {
    HeldOut h{p, 0};
    if (p->family == Family::kGemm) {
      h.predicted =
          model.gemm(products.at(std::pair(p->key[1], p->key[2])), p->key[0], card.kernel_fixed_time).time.count();
    } else if (p->family == Family::kDecodeAttention || p->family == Family::kUnequalDecode) {
      const std::int64_t batch = p->key[3], each = p->key[4], context = batch * each;
      const double spread = p->family == Family::kUnequalDecode ? unequal_spread(batch) * static_cast<double>(each) : 0;
      const LinearPiece piece =
          model.decode_attention(operator_of(*p), batch, 1, context, spread, card.kernel_fixed_time);
      h.predicted = piece.at_zero.count() + piece.per_token * static_cast<double>(context);
    } else {
      h.predicted = model.prefill_attention(operator_of(*p), p->key[4], p->key[5], p->key[3], card.kernel_fixed_time)
                        .time.count();
    }
    predicted.push_back(h);
  }
  predict_collectives(points, predicted);
  return predicted;
}

std::string held_out_csv(std::span<const HeldOut> held) {
  std::string text = "family,key,measured_us,predicted_us,error_pct\n";
  for (const HeldOut& h : held) {
    const FamilyEntry& entry = entry_of(h.point->family);
    // Kinds of collectives differ in more than a dtype.
    std::string key = entry.family == Family::kCollective ? fmt::format("{}={}", entry.label, h.point->label) : "";
    for (std::size_t i = 0; i < h.point->key.size(); ++i)
      key += fmt::format("{}{}={}", key.empty() ? "" : " ", entry.columns[i], h.point->key[i]);
    text += fmt::format("{},{},{:.5g},{:.5g},{:.3g}\n", entry.name, key, h.point->seconds * 1e6, h.predicted * 1e6,
                        (h.predicted / h.point->seconds - 1) * 100);
  }
  return text;
}

ErrorSummary error_of(Family family, std::span<const HeldOut> held, std::string_view label) {
  std::vector<double> errors;
  for (const HeldOut& h : held)
    if (h.point->family == family && (label.empty() || h.point->label == label))
      errors.push_back(std::abs(h.predicted / h.point->seconds - 1));
  std::sort(errors.begin(), errors.end());
  ErrorSummary summary;
  summary.count = errors.size();
  if (errors.empty()) return summary;
  summary.median = errors[errors.size() / 2];
  summary.p95 = errors[std::min(errors.size() - 1, errors.size() * 95 / 100)];
  return summary;
}

}  // namespace headroom
