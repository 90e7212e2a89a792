// A hardware profile: every fact is {value, source} and may name its own evidence; the profile is as good as its worst.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/config/catalogue.h"
#include "sim/config/kernel_tables.h"
#include "sim/workload/text_file.h"

namespace headroom {
namespace {

Evidence evidence_of(const Value& value) {
  const std::string word = value.text();
  if (word == "measured") return Evidence::kMeasured;
  if (word == "fitted") return Evidence::kFitted;
  if (word == "datasheet") return Evidence::kDatasheet;
  const std::string_view known[] = {"measured", "fitted", "datasheet"};
  value.fail(fmt::format("no evidence '{}'{}", word, suggestion(word, known)));
}

class HardwareReader {
 public:
  explicit HardwareReader(const std::string& file) : file_(file), map_(load_yaml(file).map()) {}

  HardwareProfile read() {
    p_.name = std::filesystem::path(file_).stem().string();
    p_.device = map_.at("device").text();
    p_.source.evidence = evidence_of(map_.at("evidence"));
    p_.source.text = map_.at("source").text();
    p_.compute_capability = static_cast<int>(fact(map_, "compute_capability").integer(10, 200));
    p_.num_sms = fact(map_, "num_sms").integer(1, 10'000);
    p_.memory = fact(map_, "memory").size();
    p_.memory_bandwidth = positive(fact(map_, "memory_bandwidth"), &Value::bandwidth);
    const Map peak = map_.map("peak");
    for (const DTypeEntry& dtype : kDTypes)
      if (peak.has(dtype.name)) p_.peak[static_cast<std::size_t>(dtype.dtype)] = fact(peak, dtype.name).compute();
    peak.done();
    if (p_.peak[static_cast<std::size_t>(DType::kFloat16)].rate() <= 0) map_.fail("missing key 'peak.float16'");
    const Map efficiency = map_.map("efficiency");
    p_.gemm_compute_efficiency = share(efficiency, "gemm_compute");
    p_.gemm_memory_efficiency = share(efficiency, "gemm_memory");
    p_.attention_compute_efficiency = share(efficiency, "attention_compute");
    p_.attention_memory_efficiency = share(efficiency, "attention_memory");
    p_.elementwise_memory_efficiency = share(efficiency, "elementwise_memory");
    efficiency.done();
    // p of SEMANTICS 9: 1 adds the times of compute and memory, larger overlaps them, `max` overlaps them fully.
    const Value exponent = fact(map_, "overlap_exponent");
    p_.overlap.exponent = exponent.is_scalar() && exponent.text() == "max" ? 0 : exponent.number(1, 64);
    p_.kernel_fixed_time = fact(map_, "kernel_fixed_time").time();
    p_.graph_kernel_gap = fact(map_, "graph_kernel_gap").time();
    p_.launch_time = fact(map_, "launch_time").time();
    p_.context_bytes = fact(map_, "context_bytes").size();
    p_.pcie_bandwidth = positive(fact(map_, "pcie_bandwidth"), &Value::bandwidth);
    p_.copy_latency = fact(map_, "copy_latency").time();
    if (map_.has("nvlink_bandwidth")) p_.nvlink_bandwidth = fact(map_, "nvlink_bandwidth").bandwidth();
    p_.collective_latency = fact(map_, "collective_latency").time();
    p_.idle_power = fact(map_, "idle_power").power();
    p_.peak_power = fact(map_, "peak_power").power();
    p_.price_per_hour = fact(map_, "price_per_hour").price_per_hour();
    if (const auto tables = map_.find("tables"))
      for (const Value& table : tables->items()) read_table(table);
    map_.done();
    return p_;
  }

 private:
  Value fact(const Map& map, std::string_view key) const {
    const Map entry = map.at(key).map();
    const Value value = entry.at("value");
    if (entry.at("source").text().empty()) entry.fail("an empty source");
    if (const auto evidence = entry.find("evidence")) evidence_of(*evidence);
    entry.done();
    return value;
  }
  double share(const Map& map, std::string_view key) const { return fact(map, key).number(0.01, 1); }
  template <class Rate>
  static Rate positive(const Value& value, Rate (Value::*read)() const) {
    const Rate rate = (value.*read)();
    if (rate.rate() <= 0) value.fail("must be above zero");
    return rate;
  }

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
    if (!std::filesystem::exists(path)) file.fail(fmt::format("no file '{}'", file.text()));
    if (kind.text() == "gemm") {
      read_gemm_table(path, source, p_);
    } else if (kind.text() == "decode-attention") {
      read_decode_table(path, source, p_);
    } else if (kind.text() == "prefill-attention") {
      read_prefill_table(path, source, p_);
    } else if (kind.text() == "streaming") {
      read_streaming_table(path, source, p_);
    } else {
      const std::string_view known[] = {"gemm", "decode-attention", "prefill-attention", "streaming"};
      kind.fail(fmt::format("no kind of table '{}'{}", kind.text(), suggestion(kind.text(), known)));
    }
  }

  std::string file_;
  Map map_;
  HardwareProfile p_;
};

}  // namespace

HardwareProfile read_hardware(const std::string& file) {
  return HardwareReader(file).read();
}

}  // namespace headroom
