#include "models/kernel_time.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/expert_load.h"
#include "models/unequal_contexts.h"

namespace headroom {
namespace {

bool inside(double x, double low, double high) {
  return x >= low && x <= high;
}

// fp16 and bf16 run at the same rates on every tensor core since Ampere; one's table serves the other.
bool serves(DType table, DType wanted) {
  return table == wanted || (bytes_of(table) == 2 && bytes_of(wanted) == 2);
}

// More work never takes less time: where a later point is faster, the earlier one was disturbed.
template <class X>
void take_off_spikes(std::vector<std::pair<X, double>>& points) {
  for (std::size_t i = points.size(); i-- > 1;) points[i - 1].second = std::min(points[i - 1].second, points[i].second);
}

AttentionOp plain_attention(std::int64_t q_heads, std::int64_t kv_heads, std::int64_t head_dim, int bytes) {
  AttentionOp op;
  op.q_heads = q_heads;
  op.kv_heads = kv_heads;
  op.head_dim = head_dim;
  op.kv_bytes_per_token_layer = 2.0 * static_cast<double>(kv_heads * head_dim * bytes);
  op.flops_per_query_key = 4.0 * static_cast<double>(q_heads * head_dim);
  return op;
}

}  // namespace

LogCurve::LogCurve(const std::vector<std::pair<std::int64_t, double>>& points) {
  for (const auto& [x, y] : points) {
    const auto at = static_cast<double>(x);
    points_.push_back({at, y, std::log(at), std::log(y)});
  }
}

double LogCurve::operator()(double x) const {
  const auto after =
      std::lower_bound(points_.begin(), points_.end(), x, [](const Point& p, double v) { return p.x < v; });
  if (after == points_.begin()) return points_.front().y;
  if (after == points_.end()) return points_.back().y;
  const Point& before = *std::prev(after);
  const double w = (std::log(x) - before.log_x) / (after->log_x - before.log_x);
  return std::exp(before.log_y * (1 - w) + after->log_y * w);
}

TableUse table_use(const ForwardOptions& options, std::vector<AttentionHeads> heads) {
  TableUse use;
  const bool fused = options.style == ExecutionStyle::kFused;
  for (const DTypeEntry& table : kDTypes) {
    const auto i = static_cast<std::size_t>(table.dtype);
    use.gemm[i] = serves(table.dtype, options.activation_dtype) ||
                  (options.quantized_activations && serves(table.dtype, *options.quantized_activations));
    use.attention[i] = fused && options.attention == AttentionKernel::kFlash && serves(table.dtype, options.kv_dtype);
  }
  if (fused) use.heads = std::move(heads);
  use.streaming = fused;
  return use;
}

KernelModel::KernelModel(const HardwareProfile& hardware, const ForwardOps& ops, const ForwardOptions& options)
    : hw_(&hardware),
      ops_(ops.gemms),
      activation_dtype_(options.activation_dtype),
      activation_bytes_(bytes_of(options.activation_dtype)),
      attention_(options.attention),
      masked_(options.masked_attention),
      prefill_efficiency_(hardware.attention_compute_efficiency),
      peak_(hardware.peak[static_cast<std::size_t>(options.activation_dtype)].rate()) {
  // PyTorch's SDPA is FlashAttention-2, which does not use Hopper's asynchronous products: 35 % of an H100's peak
  // (SEMANTICS 9.2); a serving engine's kernels are what the profile was fitted to.
  if (options.style != ExecutionStyle::kFused && hardware.compute_capability >= 90)
    prefill_efficiency_ = std::min(prefill_efficiency_, 0.35);
  read_gemm_tables(hardware, options.activation_dtype);
  if (options.quantized_activations) read_gemm_tables(hardware, *options.quantized_activations);
  // A weight-only quantized or expert product is no plain one: the tables say nothing of it.
  for (const GemmOp& g : ops_) {
    const bool plain = g.quantized_to || g.weight_bytes_per_element == activation_bytes_;
    nearest_.push_back(g.num_experts > 1 || !plain
                           ? NearestCurve{}
                           : nearest_curve(g.quantized_to.value_or(activation_dtype_), g.n, g.k));
  }
  // The tables are of flash kernels of serving engines.
  if (attention_ == AttentionKernel::kFlash && options.style == ExecutionStyle::kFused)
    read_attention_tables(hardware, ops, options.kv_dtype);
  // So is the table of streaming kernels: PyTorch's own move more bytes in more of them.
  if (hardware.streaming_table && options.style == ExecutionStyle::kFused) {
    for (const StreamingTable::Point& p : hardware.streaming_table->points)
      streaming_.emplace_back(p.bytes, p.time.count());
    between_streaming_ = LogCurve(streaming_);
    streaming_measured_ = hardware.streaming_table->source.evidence == Evidence::kMeasured;
  }
}

void KernelModel::read_gemm_tables(const HardwareProfile& hardware, DType dtype) {
  const Arithmetic in = arithmetic_in(dtype);
  for (const GemmTable& table : hardware.gemm_tables) {
    if (!serves(table.dtype, dtype)) continue;
    gemms_measured_ = gemms_measured_ && table.source.evidence == Evidence::kMeasured;
    const std::size_t first = gemms_.size();
    for (const GemmTable::Point& p : table.points) {
      if (gemms_.size() == first || gemms_.back().n != p.n || gemms_.back().k != p.k)
        gemms_.push_back({dtype, p.n, p.k, {}});
      const auto n = static_cast<double>(p.n), k = static_cast<double>(p.k);
      const double weights = k * n * bytes_of(dtype);
      const double time = std::max(p.time.count(), at_nominal_bandwidth(weights));
      gemms_.back().ratio.emplace_back(p.m, time / gemm_shape(static_cast<double>(p.m), k, n, weights, in));
    }
  }
}

void KernelModel::read_attention_tables(const HardwareProfile& hardware, const ForwardOps& ops, DType kv_dtype) {
  const auto wanted = [&](const auto& p) {
    return std::any_of(ops.attention.begin(), ops.attention.end(), [&](const AttentionOp& op) {
      return op.q_heads == p.q_heads && op.kv_heads == p.kv_heads && op.head_dim == p.head_dim;
    });
  };
  for (const DecodeAttentionTable& table : hardware.decode_attention_tables) {
    if (!serves(table.kv_dtype, kv_dtype)) continue;
    decodes_measured_ = decodes_measured_ && table.source.evidence == Evidence::kMeasured;
    const std::size_t first = decodes_.size();
    for (const auto& p : table.points) {
      if (!wanted(p)) continue;
      if (decodes_.size() == first || decodes_.back().q_heads != p.q_heads || decodes_.back().kv_heads != p.kv_heads ||
          decodes_.back().head_dim != p.head_dim || decodes_.back().batch != p.batch)
        decodes_.push_back({p.head_dim, p.q_heads, p.kv_heads, p.batch, {}, {}});
      decodes_.back().points.emplace_back(static_cast<double>(p.context), p.time.count());
    }
    for (std::size_t i = first; i < decodes_.size(); ++i) {
      DecodeCurve& c = decodes_[i];
      take_off_spikes(c.points);
      const double per_token = 2.0 * static_cast<double>(c.batch * c.kv_heads * c.head_dim * bytes_of(kv_dtype));
      for (auto& [context, time] : c.points) time = std::max(time, at_nominal_bandwidth(per_token * context));
    }
  }
  read_unequal_decodes(hardware, kv_dtype);
  for (const PrefillAttentionTable& table : hardware.prefill_attention_tables) {
    if (!serves(table.kv_dtype, kv_dtype)) continue;
    prefills_measured_ = prefills_measured_ && table.source.evidence == Evidence::kMeasured;
    const std::size_t first = prefills_.size();
    for (const auto& p : table.points) {
      if (!wanted(p)) continue;
      if (prefills_.size() == first || prefills_.back().head_dim != p.head_dim ||
          prefills_.back().q_heads != p.q_heads || prefills_.back().kv_heads != p.kv_heads ||
          prefills_.back().batch != p.batch || prefills_.back().past != p.past)
        prefills_.push_back({p.head_dim, p.q_heads, p.kv_heads, p.batch, p.past, {}, 0, {}});
      prefills_.back().ratio.emplace_back(p.new_tokens, p.time.count());
    }
    for (std::size_t i = first; i < prefills_.size(); ++i) {
      PrefillCurve& c = prefills_[i];
      take_off_spikes(c.ratio);
      c.start = c.ratio.front().second;
      const AttentionOp op = plain_attention(c.q_heads, c.kv_heads, c.head_dim, bytes_of(table.kv_dtype));
      for (auto& [tokens, ratio] : c.ratio)
        ratio /= c.start + prefill_shape(op, static_cast<double>(tokens), static_cast<double>(c.past),
                                         static_cast<double>(c.batch));
      c.between = LogCurve(c.ratio);
    }
  }
}

// What unequal contexts take longer than equal ones, where both were measured.
void KernelModel::read_unequal_decodes(const HardwareProfile& hardware, DType kv_dtype) {
  for (const DecodeAttentionTable& table : hardware.unequal_decode_tables) {
    if (!serves(table.kv_dtype, kv_dtype)) continue;
    for (DecodeCurve& c : decodes_) {
      const double spread = unequal_spread(c.batch);
      for (const auto& p : table.points) {
        if (p.q_heads != c.q_heads || p.kv_heads != c.kv_heads || p.head_dim != c.head_dim || p.batch != c.batch)
          continue;
        const auto context = static_cast<double>(p.context);
        const auto equal =
            std::find_if(c.points.begin(), c.points.end(), [&](const auto& q) { return q.first == context; });
        if (equal == c.points.end()) continue;
        c.unequal.emplace_back(context, std::max(0.0, p.time.count() - equal->second) / (spread * context));
      }
    }
  }
}

bool KernelModel::depends_on_spread() const {
  return std::any_of(decodes_.begin(), decodes_.end(), [](const DecodeCurve& c) { return !c.unequal.empty(); });
}

bool KernelModel::uses_measurements() const {
  const auto close = [](const NearestCurve& n) { return n.close; };
  return (gemms_measured_ && std::any_of(nearest_.begin(), nearest_.end(), close)) ||
         (decodes_measured_ && !decodes_.empty()) || (prefills_measured_ && !prefills_.empty());
}

double KernelModel::combined(double compute, double memory) const {
  const double p = hw_->overlap.exponent;
  if (p == 0) return std::max(compute, memory);
  if (p == 1) return compute + memory;
  const double larger = std::max(compute, memory), smaller = std::min(compute, memory);
  return larger <= 0 ? 0 : larger * std::pow(1 + std::pow(smaller / larger, p), 1 / p);
}

// Rows of another type than the activations' are quantized by a kernel before: read, written, and read again.
KernelModel::Arithmetic KernelModel::arithmetic_in(DType dtype) const {
  const double row_bytes =
      serves(dtype, activation_dtype_) ? activation_bytes_ : activation_bytes_ + 2 * bytes_of(dtype);
  return {dtype, hw_->peak[static_cast<std::size_t>(dtype)].rate() * hw_->gemm_compute_efficiency, row_bytes};
}

// Weights brought to the activation dtype inside the kernel take a little of its arithmetic. Of a plain product's rate
// for large products: 0.93 to 1.0 on an A100 (TensorRT-LLM's int4 and int8 weight-only kernels against bf16, 1,024 to
// 8,192 rows, aiconfigurator), 1.03 and more on an H200 (the same), about 1.0 on an A10G (Marlin: 16 rows more of all
// products take 2,146 us, results/overlap). Kernels that are poor at 64 to 512 rows (0.65 to 0.95) are not modelled.
KernelModel::Arithmetic KernelModel::arithmetic_of(const GemmOp& op) const {
  constexpr double kDequantizing = 0.95;
  Arithmetic in = arithmetic_in(op.quantized_to.value_or(activation_dtype_));
  if (!op.quantized_to && op.weight_bytes_per_element < activation_bytes_) in.flops *= kDequantizing;
  return in;
}

// The rows of a tile that a product with few rows cannot fill are computed all the same; whole waves of tiles over the
// SMs likewise, once there is more than one wave (smaller products are split along k).
double KernelModel::gemm_roofline(double tokens, double k, double n, double weight_bytes, const Arithmetic& in) const {
  const double tile = tokens <= 16 ? 16 : tokens <= 32 ? 32 : tokens <= 64 ? 64 : 128;
  const double rows = std::ceil(tokens / tile) * tile;
  const double tiles = rows / tile * std::ceil(n / 128);
  const auto sms = static_cast<double>(hw_->num_sms);
  const double waves = tiles > sms ? std::ceil(tiles / sms) * sms / tiles : 1;
  const double compute = 2 * rows * k * n * waves / in.flops;
  const double bytes = weight_bytes + tokens * (in.row_bytes * k + activation_bytes_ * n);
  return combined(compute, bytes / (hw_->memory_bandwidth.rate() * hw_->gemm_memory_efficiency));
}

// Between the points of a table: libraries choose tiles that fit, so that what is left of steps shows in the points,
// not at fixed places between them. (A third of an H100's products held out: p95 of the error 22 % with the steps
// above, 18 % without.)
double KernelModel::gemm_shape(double tokens, double k, double n, double weight_bytes, const Arithmetic& in) const {
  const double bytes = weight_bytes + tokens * (in.row_bytes * k + activation_bytes_ * n);
  return combined(2 * tokens * k * n / in.flops, bytes / (hw_->memory_bandwidth.rate() * hw_->gemm_memory_efficiency));
}

KernelModel::NearestCurve KernelModel::nearest_curve(DType dtype, std::int64_t n, std::int64_t k) const {
  const GemmCurve* best = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const GemmCurve& c : gemms_) {
    if (c.dtype != dtype) continue;
    const double distance = std::abs(std::log(static_cast<double>(c.n) / static_cast<double>(n))) +
                            std::abs(std::log(static_cast<double>(c.k) / static_cast<double>(k)));
    if (distance < least) {
      least = distance;
      best = &c;
    }
  }
  return {best, least < std::log(2.0), best == nullptr ? LogCurve{} : LogCurve(best->ratio)};
}

KernelTime KernelModel::gemm(std::size_t index, std::int64_t tokens, Seconds fixed) const {
  const GemmOp& g = ops_[index];
  const auto t = static_cast<double>(tokens);
  const auto k = static_cast<double>(g.k), n = static_cast<double>(g.n);
  double weight_bytes = g.weight_bytes_per_element * k * n;
  double rows = t;
  if (g.num_experts > 1) {
    const ExpertLoad load =
        busiest_rank({g.num_experts, g.experts_per_token, g.expert_ranks}, t * static_cast<double>(g.expert_batches));
    weight_bytes *= load.experts;
    rows = load.rows;
  }
  const double roofline = gemm_roofline(rows, k, n, weight_bytes, arithmetic_of(g));
  const auto& [curve, close, ratio] = nearest_[index];
  const double kernels = g.quantized_to ? 2 : 1;  // a measured product of quantized rows has both in it
  if (curve == nullptr) return {Seconds{roofline} + kernels * fixed, fixed, false};
  const bool covered =
      close && gemms_measured_ &&
      inside(t, static_cast<double>(curve->ratio.front().first), static_cast<double>(curve->ratio.back().first));
  // Inside the table its own shape, beyond it the roofline at the ratio of its end.
  const auto last = static_cast<double>(curve->ratio.back().first);
  const Arithmetic in = arithmetic_of(g);
  double shape = gemm_shape(rows, k, n, weight_bytes, in);
  if (t > last)
    shape = gemm_shape(last, k, n, weight_bytes, in) * roofline / gemm_roofline(last, k, n, weight_bytes, in);
  return {Seconds{shape * ratio(t)}, fixed, covered};
}

// A flash kernel gives each SM a tile of 64 queries of one head over all its keys: few queries after a long past leave
// SMs idle (fitted: chunks of 16 to 256 tokens after 16,384 take the same 520 us on an RTX 4090).
double KernelModel::prefill_roofline(const AttentionOp& op, double q, double past, double sequences) const {
  const double tile = 64;
  const double tiles = std::ceil(q / tile) * static_cast<double>(op.q_heads) * sequences;
  const double idle = std::max(1.0, static_cast<double>(hw_->num_sms) / tiles);
  const double rows = std::ceil(q / tile) * tile;
  // Causal: query i sees past + i keys; in a window no more than the window.
  double pairs = rows * past + rows * (rows + 1) / 2;
  double keys = past + q;
  if (op.window > 0) {
    const auto w = static_cast<double>(op.window);
    const double full = std::clamp(w - past, 0.0, rows);  // queries that see everything before them
    pairs = full * past + full * (full + 1) / 2 + (rows - full) * w;
    keys = std::min(keys, w + q);
  }
  const double flops = op.flops_per_query_key * pairs * idle;
  const double width = static_cast<double>(op.q_heads * op.head_dim) * activation_bytes_;
  double bytes = keys * op.kv_bytes_per_token_layer + 2 * q * width;
  double compute = flops / (peak_ * prefill_efficiency_);
  if (attention_ == AttentionKernel::kEager) {
    // The whole square is computed, and the scores pass through memory: written and read in the activation dtype, in
    // fp32 before and after the softmax, and once more in the activation dtype (SEMANTICS 5.5).
    const double scores = q * (past + q) * static_cast<double>(op.q_heads);
    compute = op.flops_per_query_key * q * (past + q) / (peak_ * hw_->gemm_compute_efficiency);
    bytes += scores * (4 * activation_bytes_ + 16);
  }
  return combined(sequences * compute,
                  sequences * bytes / (hw_->memory_bandwidth.rate() * hw_->attention_memory_efficiency));
}

// Between the points of a table: tiles of 64 queries go to the SMs in whole rounds, two to an SM at a time, and one by
// itself takes 4/3 of its share of two (measured on an H100: 370, 540, 870, 1,090 us for one to four tiles an SM after
// 16,384 tokens). The longest tile bounds them all.
double KernelModel::prefill_shape(const AttentionOp& op, double q, double past, double sequences) const {
  const double rows = std::ceil(q / 64) * 64;
  const double tiles = rows / 64 * static_cast<double>(op.q_heads) * sequences;
  const double per_sm = std::ceil(tiles / static_cast<double>(hw_->num_sms));
  const double keys = std::max((past + rows) * 4 / 3, per_sm * (past + (rows + 64) / 2));
  const double per_key = op.flops_per_query_key / static_cast<double>(op.q_heads) * 64 *
                         static_cast<double>(hw_->num_sms) / (peak_ * prefill_efficiency_);
  const double width = static_cast<double>(op.q_heads * op.head_dim) * activation_bytes_;
  const double bytes = (past + q) * op.kv_bytes_per_token_layer + 2 * q * width;
  return combined(keys * per_key,
                  sequences * bytes / (hw_->memory_bandwidth.rate() * hw_->attention_memory_efficiency));
}

KernelTime KernelModel::prefill_attention(const AttentionOp& op, std::int64_t new_tokens, std::int64_t past_tokens,
                                          std::int64_t sequences, Seconds fixed) const {
  const auto q = static_cast<double>(new_tokens), past = static_cast<double>(past_tokens);
  const double roofline = prefill_roofline(op, q, past, static_cast<double>(sequences));
  if (op.window > 0 && past + q > static_cast<double>(op.window)) return {Seconds{roofline} + fixed, fixed, false};
  const PrefillCurve* best = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const PrefillCurve& c : prefills_) {
    if (c.q_heads != op.q_heads || c.kv_heads != op.kv_heads || c.head_dim != op.head_dim) continue;
    const double distance = std::abs(std::log(static_cast<double>(c.batch) / static_cast<double>(sequences))) +
                            std::abs(std::log((static_cast<double>(c.past) + 64) / (past + 64)));
    if (distance < least) {
      least = distance;
      best = &c;
    }
  }
  if (best == nullptr) return {Seconds{roofline} + fixed, fixed, false};
  const auto shortest = static_cast<double>(best->ratio.front().first);
  const auto longest = static_cast<double>(best->ratio.back().first);
  // As measured for the curve's own batch and past, and what this chunk has more or less of, at the kernel's rate for
  // the largest work.
  const auto past_there = static_cast<double>(best->past), batch_there = static_cast<double>(best->batch);
  const auto shape = [&](double tokens) { return best->start + prefill_shape(op, tokens, past_there, batch_there); };
  const auto largest = shape(longest) * best->ratio.back().second;
  const double rate = (largest - best->start) / prefill_roofline(op, longest, past_there, batch_there);
  const double inside_q = std::max(q, shortest);
  const double measured = shape(inside_q) * best->between(inside_q);
  const double more = (roofline - prefill_roofline(op, q, past_there, batch_there)) * rate;
  const bool covered = prefills_measured_ && least < std::log(4.0) && inside(q, shortest, longest);
  return {Seconds{std::max(best->start, measured + more)}, Seconds{best->start}, covered};
}

// Without enough sequences times heads to fill the SMs the KV length is split; a split still needs a few tiles of keys,
// so a single sequence with few KV heads does not reach the card's bandwidth (SEMANTICS 5.5). The number of splits is
// fitted: 36 to 97 on four cards, 8 is refuted (results/overlap).
double KernelModel::split_kv_occupancy(const AttentionOp& op, std::int64_t sequences) const {
  const double groups = static_cast<double>(sequences * (masked_ ? op.q_heads : op.kv_heads));
  const double splits = masked_ ? 1 : 64;
  return std::min(1.0, groups * splits / static_cast<double>(hw_->num_sms));
}

double KernelModel::decode_seconds_per_token(const AttentionOp& op, std::int64_t sequences,
                                             std::int64_t query_tokens) const {
  double bytes = op.kv_bytes_per_token_layer;
  // Eager and masked attention repeat K and V to all query heads: written once more and read again.
  if ((attention_ == AttentionKernel::kEager || masked_) && op.q_heads > op.kv_heads)
    bytes *= 1 + 2 * static_cast<double>(op.q_heads) / static_cast<double>(op.kv_heads);
  const double bandwidth =
      hw_->memory_bandwidth.rate() * hw_->attention_memory_efficiency * split_kv_occupancy(op, sequences);
  const double flops = op.flops_per_query_key * static_cast<double>(query_tokens);
  return combined(flops / (peak_ * hw_->attention_compute_efficiency), bytes / bandwidth);
}

LinearPiece KernelModel::decode_attention(const AttentionOp& op, std::int64_t sequences, std::int64_t query_tokens,
                                          std::int64_t context, double spread, Seconds fixed) const {
  const double unit = decode_seconds_per_token(op, sequences, query_tokens);
  const LinearPiece roofline{fixed, unit, std::numeric_limits<double>::infinity(), false};
  if (query_tokens != 1) return roofline;
  const auto batch = static_cast<double>(sequences);
  const double each = static_cast<double>(context) / batch;
  // The curves of the batch sizes at or around this one; between them time is linear in the batch.
  const DecodeCurve *below = nullptr, *above = nullptr;
  for (const DecodeCurve& c : decodes_) {
    if (c.q_heads != op.q_heads || c.kv_heads != op.kv_heads || c.head_dim != op.head_dim) continue;
    if (c.batch <= sequences && (below == nullptr || c.batch > below->batch)) below = &c;
    if (c.batch >= sequences && (above == nullptr || c.batch < above->batch)) above = &c;
  }
  if (below == nullptr && above == nullptr) return roofline;
  struct Segment {
    double at_zero, slope, to;
    bool inside;
  };
  // The line through the points around `each`, and beyond the first two and the last two of them, but not below the
  // time of a kernel that does nothing.
  const auto equal_segment = [&](const DecodeCurve& c) -> Segment {
    const auto& p = c.points;
    const auto after = std::upper_bound(p.begin(), p.end(), each, [](double v, const auto& q) { return v < q.first; });
    if (after == p.begin()) {
      if (p.size() == 1) return {after->second, 0, after->first, false};
      const auto second = std::next(after);
      const double slope = (second->second - after->second) / (second->first - after->first);
      const double least = std::min(hw_->kernel_fixed_time.count(), after->second);
      const double start = std::clamp(after->second - slope * after->first, least, after->second);
      return {start, (after->second - start) / after->first, after->first, false};
    }
    const auto before = std::prev(after);
    const auto [x, y] = *before;
    if (after == p.end()) {
      double slope = unit * static_cast<double>(c.batch);
      if (p.size() > 1) slope = std::max(slope, (y - std::prev(before)->second) / (x - std::prev(before)->first));
      return {y - slope * x, slope, std::numeric_limits<double>::infinity(), each == x};
    }
    const double slope = (after->second - y) / (after->first - x);
    return {y - slope * x, slope, after->first, true};
  };
  // The spread stays as it is while all contexts grow alike, so its share is a line too.
  const auto segment = [&](const DecodeCurve& c) -> Segment {
    Segment s = equal_segment(c);
    const auto& p = c.unequal;
    if (p.empty() || spread == 0) return s;
    const auto after = std::upper_bound(p.begin(), p.end(), each, [](double v, const auto& q) { return v < q.first; });
    if (after == p.begin() || after == p.end()) {
      s.at_zero += spread * (after == p.end() ? p.back() : p.front()).second;
      if (after == p.begin()) s.to = std::min(s.to, after->first);
      return s;
    }
    const auto [x, y] = *std::prev(after);
    const double slope = (after->second - y) / (after->first - x);
    s.at_zero += spread * (y - slope * x);
    s.slope += spread * slope;
    s.to = std::min(s.to, after->first);
    return s;
  };
  if (below == nullptr || above == nullptr) {
    // More sequences than the table has take proportionally longer; fewer, as long as its fewest.
    const DecodeCurve& c = below == nullptr ? *above : *below;
    const Segment s = segment(c);
    const double scale = below == nullptr ? 1 : batch / static_cast<double>(c.batch);
    return LinearPiece{Seconds{s.at_zero * scale}, s.slope * scale / batch, s.to * batch, false};
  }
  const Segment low = segment(*below), high = segment(*above);
  const double w = above->batch == below->batch
                       ? 0
                       : (batch - static_cast<double>(below->batch)) / static_cast<double>(above->batch - below->batch);
  return LinearPiece{Seconds{low.at_zero * (1 - w) + high.at_zero * w}, (low.slope * (1 - w) + high.slope * w) / batch,
                     std::min(low.to, high.to) * batch, decodes_measured_ && low.inside && high.inside};
}

Seconds KernelModel::elementwise(double bytes) const {
  return Seconds{bytes / (hw_->memory_bandwidth.rate() * hw_->elementwise_memory_efficiency)};
}

Seconds KernelModel::strided(double bytes) const {
  constexpr double kPerSm = 5.3e9;  // bytes a second
  const double memory = hw_->memory_bandwidth.rate() * hw_->elementwise_memory_efficiency;
  return Seconds{bytes / std::min(memory, kPerSm * static_cast<double>(hw_->num_sms))};
}

KernelTime KernelModel::streaming(double bytes, double kernels, Seconds fixed) const {
  if (kernels <= 0) return {Seconds{0}, Seconds{0}, streaming_measured_};
  if (streaming_.empty()) return {elementwise(bytes) + kernels * fixed, fixed, false};
  const double each = bytes / kernels;
  const auto last = static_cast<double>(streaming_.back().first);
  // Beyond the table a kernel goes on at the rate of its largest.
  const double more = each > last ? each / last : 1;
  return {Seconds{kernels * more * between_streaming_(each)}, Seconds{streaming_.front().second},
          streaming_measured_ && each <= last};
}

}  // namespace headroom
