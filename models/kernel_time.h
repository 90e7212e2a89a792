// Time of one kernel on one GPU: a roofline with efficiencies, corrected by measured tables where there are any.
//
// Roofline (SEMANTICS 9.1, 9.2): t = (compute^p + memory^p)^(1/p) + fixed, with p of the hardware profile. A measured
// table is used inside its range, exact at its points; outside of it the roofline stands, scaled by the table's nearest
// ratio. Two corrections of what was measured: a kernel timed again and again finds its operands in the L2 cache, a
// kernel of a step does not, so none is faster than its bytes at nominal bandwidth; and attention over fewer tokens
// never takes longer than over more, so single spikes of a table are taken off.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <vector>

#include "models/hardware.h"
#include "models/operator_graph.h"
#include "models/units.h"

namespace headroom {

struct KernelTime {
  Seconds time;
  Seconds start;          // share that one kernel over several such pieces of work pays once
  bool measured = false;  // inside a measured table
};

// t = a + b * x for x in [from, to]: time of decode attention against the sum of contexts.
struct LinearPiece {
  Seconds at_zero;
  double per_token = 0;  // seconds
  double to = 0;         // largest x the piece holds for
  bool measured = false;
};

// What of a profile's tables a KernelModel reads: the others may be left away.
struct TableUse {
  std::array<bool, kDTypes.size()> gemm{};       // by type of the table
  std::array<bool, kDTypes.size()> attention{};  // by type of its KV cache
  std::vector<AttentionHeads> heads;             // of attention
  bool streaming = false;
  auto operator<=>(const TableUse&) const = default;

  bool gemms_of(DType dtype) const { return gemm[static_cast<std::size_t>(dtype)]; }
  bool attention_of(DType kv_dtype) const { return attention[static_cast<std::size_t>(kv_dtype)]; }
};
// `heads`: of the model, and of a draft model beside it.
TableUse table_use(const ForwardOptions& options, std::vector<AttentionHeads> heads);

// Values on a polyline, linear in the logarithms of x and y; its ends hold outside.
class LogCurve {
 public:
  LogCurve() = default;
  explicit LogCurve(const std::vector<std::pair<std::int64_t, double>>& points);  // sorted by x, all above zero
  double operator()(double x) const;

 private:
  struct Point {
    double x, y, log_x, log_y;
  };
  std::vector<Point> points_;
};

class KernelModel {
 public:
  // Keeps what the tables of `hardware` say about the operators of `ops`.
  KernelModel(const HardwareProfile& hardware, const ForwardOps& ops, const ForwardOptions& options);

  // Product number `index` of ops.gemms, in one layer, for `tokens` rows. `fixed`: start and drain of one kernel.
  KernelTime gemm(std::size_t index, std::int64_t tokens, Seconds fixed) const;

  // One layer's causal attention of `chunk`: new_tokens queries after past_tokens keys, for each sequence.
  KernelTime prefill_attention(const AttentionOp& op, std::int64_t new_tokens, std::int64_t past_tokens,
                               std::int64_t sequences, Seconds fixed) const;

  // One layer's attention of `sequences` decoding sequences with `query_tokens` queries each, as a linear function of
  // the sum of their contexts around `context`. `spread`: standard deviation of the contexts, in tokens; it only counts
  // where a table of unequal contexts says what it costs.
  LinearPiece decode_attention(const AttentionOp& op, std::int64_t sequences, std::int64_t query_tokens,
                               std::int64_t context, double spread, Seconds fixed) const;
  bool depends_on_spread() const;

  Seconds elementwise(double bytes) const;
  // PyTorch's kernels over transposed views and along rows: bound by the SMs where these cannot keep up with the
  // memory. Concatenations of a prefill move 0.60 to 0.78 TB/s on an H100 whose contiguous copies make 2.8
  // (validate/data/h100_hf_breakdown.csv).
  Seconds strided(double bytes) const;

  // `kernels` of equal size after each other that move `bytes` in all, each with its start and drain `fixed`.
  KernelTime streaming(double bytes, double kernels, Seconds fixed) const;

  // Whether a measured table stands behind some product or attention of the operators.
  bool uses_measurements() const;

 private:
  struct GemmCurve {  // one (n, k) of the table of one type
    DType dtype;
    std::int64_t n, k;
    std::vector<std::pair<std::int64_t, double>> ratio;  // m, measured / gemm_shape()
  };
  struct DecodeCurve {  // one (heads, batch) of the table
    std::int64_t head_dim, q_heads, kv_heads, batch;
    std::vector<std::pair<double, double>> points;   // context of one sequence, seconds
    std::vector<std::pair<double, double>> unequal;  // and seconds more for each token of standard deviation
  };
  struct PrefillCurve {
    std::int64_t head_dim, q_heads, kv_heads, batch, past;
    std::vector<std::pair<std::int64_t, double>> ratio;  // new tokens, measured / prefill_shape()
    double start;                                        // seconds, of the shortest
    LogCurve between;                                    // the ratios
  };

  struct NearestCurve {
    const GemmCurve* curve = nullptr;  // null: no table says anything about this product
    bool close = false;                // within a factor of two in size
    LogCurve ratio;                    // of the curve
  };

  void read_gemm_tables(const HardwareProfile& hardware, DType dtype);
  void read_unequal_decodes(const HardwareProfile& hardware, DType kv_dtype);
  void read_attention_tables(const HardwareProfile& hardware, const ForwardOps& ops, DType kv_dtype);
  double at_nominal_bandwidth(double bytes) const { return bytes / hw_->memory_bandwidth.rate(); }
  double combined(double compute, double memory) const;
  // What a product multiplies in, and the bytes it moves for one number of its rows.
  struct Arithmetic {
    DType dtype;
    double flops;      // of large products, per second
    double row_bytes;  // for each of the k numbers
  };
  Arithmetic arithmetic_in(DType dtype) const;
  Arithmetic arithmetic_of(const GemmOp& op) const;
  double gemm_roofline(double tokens, double k, double n, double weight_bytes, const Arithmetic& in) const;
  double gemm_shape(double tokens, double k, double n, double weight_bytes, const Arithmetic& in) const;
  double prefill_roofline(const AttentionOp& op, double new_tokens, double past, double sequences) const;
  double prefill_shape(const AttentionOp& op, double new_tokens, double past, double sequences) const;
  double decode_seconds_per_token(const AttentionOp& op, std::int64_t sequences, std::int64_t query_tokens) const;
  NearestCurve nearest_curve(DType dtype, std::int64_t n, std::int64_t k) const;
  double split_kv_occupancy(const AttentionOp& op, std::int64_t sequences) const;

  const HardwareProfile* hw_;
  std::vector<GemmOp> ops_;
  DType activation_dtype_;
  double activation_bytes_;
  AttentionKernel attention_;
  bool masked_;
  double prefill_efficiency_;  // of peak
  double peak_;                // FLOP/s of the dtype
  std::vector<GemmCurve> gemms_;
  std::vector<NearestCurve> nearest_;  // by product
  std::vector<DecodeCurve> decodes_;
  std::vector<PrefillCurve> prefills_;
  std::vector<std::pair<std::int64_t, double>> streaming_;  // bytes, seconds; empty without a table
  LogCurve between_streaming_;
  // False once a table of that kind is less than measured: it still counts as better than the roofline.
  bool gemms_measured_ = true, decodes_measured_ = true, prefills_measured_ = true, streaming_measured_ = false;
};

}  // namespace headroom
