#include "models/uncertainty.h"

#include <array>

namespace headroom {
namespace {

constexpr std::array<std::string_view, 4> kGrounds = {"own kernels", "kernel tables", "fitted", "datasheet"};

// validate/fit/fit_discrepancy.py. Rows as Predicted, columns as Ground.
constexpr double kDiscrepancy[3][4] = {
    {0.000, 0.116, 0.213, 0.213},
    {0.002, 0.112, 0.187, 0.187},
    {0.000, 0.000, 0.001, 0.001},
};

}  // namespace

Ground ground_of(const HardwareProfile& hardware) {
  const bool products = !hardware.gemm_tables.empty() && !hardware.decode_attention_tables.empty();
  if (products && hardware.streaming_table) return Ground::kOwnKernels;
  if (products) return Ground::kKernelTables;
  return hardware.source.evidence == Evidence::kDatasheet ? Ground::kDatasheet : Ground::kFitted;
}

std::string_view name_of(Ground ground) {
  return kGrounds[static_cast<std::size_t>(ground)];
}

double model_discrepancy(Predicted what, Ground ground) {
  return kDiscrepancy[static_cast<std::size_t>(what)][static_cast<std::size_t>(ground)];
}

HardwareProfile scaled(const HardwareProfile& hardware, const KernelScale& scale) {
  HardwareProfile p = hardware;
  p.gemm_compute_efficiency /= scale.gemm;
  p.gemm_memory_efficiency /= scale.gemm;
  p.attention_compute_efficiency /= scale.attention;
  p.attention_memory_efficiency /= scale.attention;
  p.elementwise_memory_efficiency /= scale.elementwise;
  p.kernel_fixed_time = p.kernel_fixed_time * scale.elementwise;  // most kernels of a step are small ones
  p.graph_kernel_gap = p.graph_kernel_gap * scale.elementwise;
  p.stream_kernel_gap = p.stream_kernel_gap * scale.elementwise;
  p.pcie_bandwidth = (1 / scale.transfer) * p.pcie_bandwidth;
  p.nvlink_bandwidth = (1 / scale.transfer) * p.nvlink_bandwidth;
  p.all_reduce_bandwidth = (1 / scale.transfer) * p.all_reduce_bandwidth;
  p.copy_latency = p.copy_latency * scale.transfer;
  p.collective_latency = p.collective_latency * scale.transfer;
  for (GemmTable& table : p.gemm_tables)
    for (GemmTable::Point& point : table.points) point.time = point.time * scale.gemm;
  for (auto* const tables : {&p.decode_attention_tables, &p.unequal_decode_tables})
    for (DecodeAttentionTable& table : *tables)
      for (DecodeAttentionTable::Point& point : table.points) point.time = point.time * scale.attention;
  for (PrefillAttentionTable& table : p.prefill_attention_tables)
    for (PrefillAttentionTable::Point& point : table.points) point.time = point.time * scale.attention;
  return p;
}

NodeProfile scaled(const NodeProfile& node, const KernelScale& scale) {
  NodeProfile n = node;
  for (BytesPerSecond* rate : {&n.host_link, &n.nvme, &n.network_bandwidth}) *rate = (1 / scale.transfer) * *rate;
  for (std::optional<BytesPerSecond>* rate : {&n.all_reduce_bandwidth, &n.all_gather_bandwidth})
    if (*rate) *rate = (1 / scale.transfer) * **rate;
  if (n.collective_latency) n.collective_latency = *n.collective_latency * scale.transfer;
  n.network_latency = n.network_latency * scale.transfer;
  return n;
}

KernelUncertainty usual_uncertainty(Evidence evidence) {
  switch (evidence) {
    case Evidence::kMeasured:
      return {.gemm = 0.05, .attention = 0.08, .elementwise = 0.1, .transfer = 0.2};
    case Evidence::kFitted:
      return {.gemm = 0.08, .attention = 0.12, .elementwise = 0.2, .transfer = 0.3};
    case Evidence::kDatasheet:
      break;
  }
  return {.gemm = 0.15, .attention = 0.25, .elementwise = 0.3, .transfer = 0.4};
}

}  // namespace headroom
