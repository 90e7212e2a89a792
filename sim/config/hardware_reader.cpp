// A hardware profile: every fact is {value, source} and may name its own evidence; the profile is as good as its worst.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "models/uncertainty.h"
#include "sim/config/catalogue.h"
#include "sim/config/facts.h"
#include "sim/config/kernel_tables.h"
#include "sim/workload/text_file.h"

namespace headroom {
namespace {

class HardwareReader {
 public:
  explicit HardwareReader(const std::string& file) : file_(file), map_(load_yaml(file).map()) {}

  HardwareFile read() {
    HardwareProfile& p = read_.profile;
    p.name = std::filesystem::path(file_).stem().string();
    p.device = map_.at("device").text();
    p.source.evidence = evidence_of(map_.at("evidence"));
    p.source.text = map_.at("source").text();
    p.compute_capability = static_cast<int>(fact(map_, "compute_capability").integer(10, 200));
    p.num_sms = fact(map_, "num_sms").integer(1, 10'000);
    p.memory = fact(map_, "memory").size();
    p.memory_bandwidth = positive(fact(map_, "memory_bandwidth"), &Value::bandwidth);
    const Map peak = map_.map("peak");
    for (const DTypeEntry& dtype : kDTypes)
      if (peak.has(dtype.name)) p.peak[static_cast<std::size_t>(dtype.dtype)] = fact(peak, dtype.name).compute();
    peak.done();
    if (p.peak[static_cast<std::size_t>(DType::kFloat16)].rate() <= 0) map_.fail("missing key 'peak.float16'");
    const Map efficiency = map_.map("efficiency");
    p.gemm_compute_efficiency = share(efficiency, "gemm_compute");
    p.gemm_memory_efficiency = share(efficiency, "gemm_memory");
    p.attention_compute_efficiency = share(efficiency, "attention_compute");
    p.attention_memory_efficiency = share(efficiency, "attention_memory");
    p.elementwise_memory_efficiency = share(efficiency, "elementwise_memory");
    efficiency.done();
    // p of SEMANTICS 9: 1 adds the times of compute and memory, larger overlaps them, `max` overlaps them fully.
    const Value exponent = fact(map_, "overlap_exponent");
    p.overlap.exponent = exponent.is_scalar() && exponent.text() == "max" ? 0 : exponent.number(1, 64);
    p.kernel_fixed_time = fact(map_, "kernel_fixed_time").time();
    p.graph_kernel_gap = fact(map_, "graph_kernel_gap").time();
    if (map_.has("stream_kernel_gap")) p.stream_kernel_gap = fact(map_, "stream_kernel_gap").time();
    p.launch_time = fact(map_, "launch_time").time();
    p.context_bytes = fact(map_, "context_bytes").size();
    p.pcie_bandwidth = positive(fact(map_, "pcie_bandwidth"), &Value::bandwidth);
    p.copy_latency = fact(map_, "copy_latency").time();
    if (map_.has("nvlink_bandwidth")) p.nvlink_bandwidth = fact(map_, "nvlink_bandwidth").bandwidth();
    if (map_.has("all_reduce_bandwidth")) p.all_reduce_bandwidth = fact(map_, "all_reduce_bandwidth").bandwidth();
    p.collective_latency = fact(map_, "collective_latency").time();
    p.idle_power = fact(map_, "idle_power").power();
    p.peak_power = fact(map_, "peak_power").power();
    p.price_per_hour = fact(map_, "price_per_hour").price_per_hour();
    p.uncertainty = usual_uncertainty(p.source.evidence);
    if (map_.has("uncertainty")) {
      const Map u = map_.map("uncertainty");
      const auto deviation = [&](std::string_view key) { return fact(u, key).number(0, 1); };
      p.uncertainty = {deviation("gemm"), deviation("attention"), deviation("elementwise"), deviation("transfer")};
      u.done();
    }
    if (const auto tables = map_.find("tables"))
      for (const Value& table : tables->items()) read_table(table);
    map_.done();
    return read_;
  }

 private:
  double share(const Map& map, std::string_view key) const { return fact(map, key).number(0.01, 1); }

  void read_table(const Value& value) {
    const Map table = value.map();
    const Value kind = table.at("kind");
    const Value file = table.at("file");
    Source source;
    source.evidence = evidence_of(table.at("evidence"));
    source.text = table.at("source").text();
    const Map details = table.map("measured");
    for (const std::string_view key : {"device", "driver", "cuda", "clocks", "date", "repetitions", "spread"})
      details.find(key);
    details.done();
    table.done();
    const std::string path = (std::filesystem::path(file_).parent_path() / file.text()).string();
    must_be_allowed(file, path);
    if (!std::filesystem::exists(path)) file.fail(fmt::format("no file '{}'", file.text()));
    for (const auto& [name, known] : kKinds)
      if (kind.text() == name) return read_.tables.push_back({known, path, source});
    std::vector<std::string_view> names;
    for (const auto& [name, known] : kKinds) names.push_back(name);
    kind.fail(fmt::format("no kind of table '{}'{}", kind.text(), suggestion(kind.text(), names)));
  }

  static constexpr std::pair<std::string_view, TableKind> kKinds[] = {
      {"gemm", TableKind::kGemm},
      {"decode-attention", TableKind::kDecodeAttention},
      {"unequal-decode-attention", TableKind::kUnequalDecode},
      {"prefill-attention", TableKind::kPrefillAttention},
      {"streaming", TableKind::kStreaming}};

  std::string file_;
  Map map_;
  HardwareFile read_;
};

}  // namespace

HardwareFile read_hardware_file(const std::string& file) {
  return HardwareReader(file).read();
}

HardwareProfile read_hardware(const std::string& file) {
  HardwareFile read = read_hardware_file(file);
  for (const TableFile& table : read.tables) read_table(table, read.profile);
  return std::move(read.profile);
}

}  // namespace headroom
