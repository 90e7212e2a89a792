// A GPU and its host as data: rates, sizes, overheads, and tables of measured kernels, each with its evidence.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/dtype.h"
#include "models/units.h"

namespace headroom {

// What a collective of large messages moves on one rank, bus bandwidth, and what a small one takes as a whole.
struct CollectiveLink {
  BytesPerSecond bandwidth;
  Seconds latency;
};
// Of `bytes` (of a gather: all parts together) on each of `ranks` above one; SEMANTICS 9.6.
inline Seconds all_gather_time(const CollectiveLink& link, double ranks, double bytes) {
  return link.latency + Seconds{(ranks - 1) / ranks * bytes / link.bandwidth.rate()};
}
inline Seconds all_reduce_time(const CollectiveLink& link, double ranks, double bytes) {
  return link.latency + Seconds{2 * (ranks - 1) / ranks * bytes / link.bandwidth.rate()};
}

// `bytes`: what each rank sends, to itself too.
inline Seconds all_to_all_time(const CollectiveLink& link, double ranks, double bytes) {
  return all_gather_time(link, ranks, bytes);
}

// Where a number comes from, best first. A result is as good as the worst evidence it rests on.
enum class Evidence { kMeasured, kFitted, kDatasheet };

struct Source {
  Evidence evidence = Evidence::kDatasheet;
  std::string text;  // document, repository and commit, or device and date
};

// Matrix products of one element type, time at grid points of (m, n, k). Sorted by (n, k, m).
struct GemmTable {
  DType dtype = DType::kBfloat16;
  struct Point {
    std::int64_t m, n, k;
    Seconds time;
  };
  std::vector<Point> points;
  Source source;
};

// Decode attention of one layer: one query token per sequence, `context` keys each.
struct DecodeAttentionTable {
  DType kv_dtype = DType::kBfloat16;
  struct Point {
    std::int64_t head_dim, q_heads, kv_heads, batch, context;
    Seconds time;
  };
  std::vector<Point> points;  // sorted by (head_dim, q_heads, kv_heads, batch, context)
  Source source;
};

// Causal prefill attention of one layer: `new_tokens` queries of each of `batch` sequences after `past` keys.
struct PrefillAttentionTable {
  DType kv_dtype = DType::kBfloat16;
  struct Point {
    std::int64_t head_dim, q_heads, kv_heads, batch, new_tokens, past;
    Seconds time;
  };
  std::vector<Point> points;  // sorted by (head_dim, q_heads, kv_heads, batch, past, new_tokens)
  Source source;
};

// Kernels that only move bytes (norms, rope, activations, KV writes), one after the other in a CUDA graph: time of one
// against the bytes it moves, start and gap included.
struct StreamingTable {
  struct Point {
    std::int64_t bytes;
    Seconds time;
  };
  std::vector<Point> points;  // sorted by bytes
  Source source;
};

// How the time to compute and the time to move bytes combine inside one kernel.
//   t = (compute^p + memory^p)^(1/p) + fixed;  p = 1 adds, p -> infinity overlaps fully.
// Fitted to kernel tables, see results/overlap.
struct Overlap {
  double exponent = 0;  // p; 0 stands for infinity: the larger of the two
};

// One standard deviation of log(true time / modelled time), by kind of work (models/uncertainty.h).
struct KernelUncertainty {
  double gemm = 0;
  double attention = 0;
  double elementwise = 0;
  double transfer = 0;  // collectives, copies over PCIe
};

struct HardwareProfile {
  std::string name;
  std::string device;          // as the driver names it
  int compute_capability = 0;  // 86 for sm_86
  std::int64_t num_sms = 0;
  Bytes memory;                                     // addressable, as cudaMemGetInfo reports it: not the box's figure
  BytesPerSecond memory_bandwidth;                  // nominal
  std::array<FlopsPerSecond, kDTypes.size()> peak;  // dense tensor-core rate by DType; 0 where the card has none
  double gemm_compute_efficiency = 0.8;             // of peak, large GEMM
  double gemm_memory_efficiency = 0.85;             // of nominal bandwidth, weight streaming
  double attention_compute_efficiency = 0.5;        // flash prefill
  double attention_memory_efficiency = 0.8;         // flash decode
  double elementwise_memory_efficiency = 0.8;
  Overlap overlap;
  Seconds kernel_fixed_time;            // start and drain of one kernel on the GPU
  Seconds graph_kernel_gap;             // between dependent kernels in a CUDA graph
  Seconds stream_kernel_gap;            // what a kernel takes more when launched by itself than in a CUDA graph
  Seconds launch_time;                  // host time of one eager launch through the framework
  Bytes context_bytes;                  // CUDA context and loaded modules
  BytesPerSecond pcie_bandwidth;        // pinned host to device, one direction
  Seconds copy_latency;                 // per piece on the copy engine
  BytesPerSecond nvlink_bandwidth;      // per direction; 0 without
  BytesPerSecond all_reduce_bandwidth;  // bus bandwidth of large all-reduces within a host; 0: the link's nominal rate
  Seconds collective_latency;           // of a small all-reduce within a host, as a whole
  Watts idle_power;
  Watts peak_power;
  Dollars price_per_hour;  // on demand, one GPU's share of the instance
  KernelUncertainty uncertainty;
  Source source;  // the profile as a whole: its weakest evidence word
  std::vector<GemmTable> gemm_tables;
  std::vector<DecodeAttentionTable> decode_attention_tables;
  std::vector<DecodeAttentionTable> unequal_decode_tables;  // `context` is the mean: models/unequal_contexts.h
  std::vector<PrefillAttentionTable> prefill_attention_tables;
  std::optional<StreamingTable> streaming_table;
};

// All-reduces between cards of one host, when nothing is known of the host.
inline CollectiveLink all_reduce_link(const HardwareProfile& card) {
  for (const BytesPerSecond rate : {card.all_reduce_bandwidth, card.nvlink_bandwidth})
    if (rate.rate() > 0) return {rate, card.collective_latency};
  return {card.pcie_bandwidth, card.collective_latency};
}

// A machine with several GPUs of one kind, and its way to others like it. What it leaves out is as the card has it.
struct NodeProfile {
  std::string name;
  std::int64_t gpus = 1;
  std::optional<BytesPerSecond> all_reduce_bandwidth;  // bus bandwidth between its GPUs
  std::optional<BytesPerSecond> all_gather_bandwidth;  // likewise; as all_reduce_bandwidth without
  std::optional<Seconds> collective_latency;           // of a small collective between its GPUs, as a whole
  bool peers_over_pcie = false;                        // nothing else connects its GPUs
  BytesPerSecond host_link;                            // of one GPU to host memory while it copies alone
  std::int64_t gpus_per_uplink = 1;                    // that share one way of that rate to the host
  BytesPerSecond nvme;                                 // of all drives together, reading; 0 without
  BytesPerSecond network_bandwidth;                    // of the whole machine, one direction
  Seconds network_latency;                             // of one hop to another machine
  Dollars price_per_hour;                              // of the whole machine
};

}  // namespace headroom
