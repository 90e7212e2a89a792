#include "models/zero.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "models/matrices.h"

namespace headroom {
namespace {

Bytes share(std::int64_t bytes_per_parameter, std::int64_t parameters, std::int64_t ranks) {
  return Bytes{std::llround(static_cast<double>(bytes_per_parameter) * static_cast<double>(parameters) /
                            static_cast<double>(ranks))};
}

// Weights that are fetched together: the embedding, a layer, or the head.
struct Unit {
  double elements = 0, bytes = 0;
};
struct Units {
  Unit embedding, layer, head;
  double small = 0;  // bytes of parameters below the threshold
};

Units units_of(const ModelShape& model, const WeightOptions& options, std::int64_t threshold) {
  Units u;
  for (const Matrix& m : matrices_of(model, options.tensor_parallel, false)) {
    const double element =
        m.quantizable ? quantized_bytes(options.quantization, m.rank_k, m.rank_n, options.group_size, options.dtype)
                      : bytes_of(options.dtype);
    const auto elements = static_cast<double>(m.rank_k * m.rank_n * m.rank_count);
    if (m.rank_k * m.rank_n < threshold) {
      u.small += element * elements;
      continue;
    }
    const double copies = m.per_layer ? static_cast<double>(model.num_layers) : 1;
    Unit& unit = m.per_layer ? u.layer : m.role == MatrixRole::kEmbedding ? u.embedding : u.head;
    unit.elements += elements / copies;
    unit.bytes += element * elements / copies;
  }
  return u;
}

}  // namespace

ZeroStates zero_training_states(std::int64_t parameters, int stage, std::int64_t ranks) {
  return {share(2, parameters, stage >= 3 ? ranks : 1), share(2, parameters, stage >= 2 ? ranks : 1),
          share(12, parameters, stage >= 1 ? ranks : 1)};
}

ZeroStates zero_inference_states(std::int64_t parameters, int stage, std::int64_t ranks) {
  return {zero_training_states(parameters, stage, ranks).weights, Bytes{0}, Bytes{0}};
}

Bytes deepspeed_estimate(std::int64_t parameters, std::int64_t largest_layer, int stage, std::int64_t ranks) {
  const Bytes sharded = share(18, parameters, ranks);
  return stage == 3 ? Bytes{4 * largest_layer} + sharded : Bytes{2 * parameters} + sharded;
}

ZeroWeights zero_weights(const ModelShape& model, const WeightOptions& weights, const ZeroOptions& o) {
  const Units u = units_of(model, weights, o.persistence_threshold);
  const auto ranks = static_cast<double>(o.ranks), layers = static_cast<double>(model.num_layers);
  const double moved = 1 - o.pinned_fraction;
  // A tied head is the embedding once more: DeepSpeed brings it together at each use, and stores it once.
  const Unit head = model.tie_word_embeddings ? u.embedding : u.head;
  const double stored = u.embedding.bytes + layers * u.layer.bytes + u.head.bytes;
  const bool whole = o.ranks == 1 && o.offload == ZeroOffload::kNone;  // nothing to bring together

  ZeroWeights z;
  z.layers = model.num_layers;
  const double shard = o.offload == ZeroOffload::kNone ? moved * stored / ranks : 0;
  z.resident = Bytes{std::llround(u.small + o.pinned_fraction * stored + shard)};
  if (whole) return z;
  const auto room = static_cast<double>(o.max_live_parameters) / (moved * u.layer.elements);
  z.prefetch_layers =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(room, layers)) - 1, 0, o.prefetch_layers);
  const double largest = std::max({u.embedding.bytes, u.layer.bytes, head.bytes});
  z.gathered = Bytes{std::llround(moved * (largest + static_cast<double>(z.prefetch_layers) * u.layer.bytes))};

  const auto fetch = [&](const Unit& unit) {
    const double bytes = moved * unit.bytes;
    if (bytes <= 0) return Seconds{0};
    double time = 0;
    if (o.offload != ZeroOffload::kNone) time = bytes / (ranks * o.host_link.rate());
    if (o.offload == ZeroOffload::kNvme) {  // through host memory: both stages at once only where something runs ahead
      const double drive = bytes / o.nvme.rate();
      time = z.prefetch_layers > 0 ? std::max(time, drive) : time + drive;
    }
    if (o.ranks > 1) time += all_gather_time(o.all_gather, ranks, bytes).count();
    return Seconds{time};
  };
  z.first = fetch(u.embedding);
  z.layer = fetch(u.layer);
  z.head = fetch(head);
  z.first_bytes = moved * u.embedding.bytes;
  z.layer_bytes = moved * u.layer.bytes;
  z.head_bytes = moved * head.bytes;
  return z;
}

StreamedTime streamed_time(const ZeroWeights& w, Seconds layer, Seconds head) {
  const auto layers = static_cast<double>(w.layers), ahead = static_cast<double>(w.prefetch_layers);
  const double c = layer.count(), f = w.layer.count(), g = w.head.count();
  const Seconds outside = w.first + head;
  constexpr double kForever = std::numeric_limits<double>::infinity();
  if (w.prefetch_layers == 0) return {outside + Seconds{layers * (f + c) + g}, layers, Seconds{kForever}};
  struct Line {
    double at_zero, slope;
    double at(double x) const { return at_zero + slope * x; }
  };
  const std::array<Line, 4> lines{Line{f, layers}, Line{layers * f, 1}, Line{layers * f + g, 0},
                                  Line{f + g, layers - ahead}};
  // The highest line at c; of equals the one that is highest right behind it.
  const Line top = *std::max_element(lines.begin(), lines.end(), [&](const Line& a, const Line& b) {
    return a.at(c) != b.at(c) ? a.at(c) < b.at(c) : a.slope < b.slope;
  });
  double until = kForever;
  for (const Line& other : lines)
    if (other.slope > top.slope) until = std::min(until, c + (top.at(c) - other.at(c)) / (other.slope - top.slope));
  return {outside + Seconds{top.at(c)}, top.slope, Seconds{until}};
}

}  // namespace headroom
