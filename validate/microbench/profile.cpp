#include "validate/microbench/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>

#include "sim/config/reader.h"
#include "sim/output/files.h"

namespace headroom {
namespace {

double median(std::vector<double> values, double otherwise) {
  if (values.empty()) return otherwise;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double number(const MeasuredPoint& p, std::size_t column) {
  return static_cast<double>(p.key[column]);
}

bool is_layer_kernel(const MeasuredPoint& p) {
  return p.family == Family::kStreaming &&
         (p.label == "norm" || p.label == "rope" || p.label == "silu-mul" || p.label == "kv-write");
}

double bytes_of_kv(const MeasuredPoint& p) {  // decode: K and V of all sequences, in bf16
  return 4 * number(p, 0) * number(p, 2) * number(p, 3) * number(p, 4);
}

std::string stem_of(const std::string& path) {
  return std::filesystem::path(path).stem().string();
}

}  // namespace

Efficiencies fit_efficiencies(const HardwareProfile& base, std::span<const MeasuredPoint> points) {
  const double bandwidth = base.memory_bandwidth.rate();
  const double peak = base.peak[static_cast<std::size_t>(DType::kBfloat16)].rate();
  std::vector<double> gemm_compute, gemm_memory, attention_compute, attention_memory, copy;
  double copied = 0;
  Efficiencies fit;
  for (const MeasuredPoint& p : points) {
    switch (p.family) {
      case Family::kGemm: {
        if (p.label != "bfloat16") break;
        const double m = number(p, 0), n = number(p, 1), k = number(p, 2);
        if (m >= 4096) gemm_compute.push_back(2 * m * n * k / p.seconds / peak);
        if (m <= 16 && 2 * n * k >= 64e6) gemm_memory.push_back(2 * (n * k + m * (n + k)) / p.seconds / bandwidth);
        break;
      }
      case Family::kDecodeAttention:
        if (bytes_of_kv(p) >= 256e6 && number(p, 2) * number(p, 3) >= 64)
          attention_memory.push_back(bytes_of_kv(p) / p.seconds / bandwidth);
        break;
      case Family::kPrefillAttention: {
        const double n = number(p, 4);
        if (n >= 4096 && number(p, 5) == 0)
          attention_compute.push_back(number(p, 3) * 2 * n * n * number(p, 1) * number(p, 0) / p.seconds / peak);
        break;
      }
      case Family::kStreaming:
        if (p.label == "copy" && number(p, 0) >= copied) {
          copied = number(p, 0);
          fit.elementwise_memory = copied / p.seconds / bandwidth;
        }
        break;
      case Family::kOverhead:
        if (p.label == "dependent-in-stream") fit.kernel_fixed_us = p.seconds * 1e6;
        if (p.label == "dependent-in-graph") fit.graph_gap_us = p.seconds * 1e6;
        if (p.label == "layers-in-stream") fit.stream_gap_us += p.seconds * 1e6;
        if (p.label == "layers-in-graph") fit.stream_gap_us -= p.seconds * 1e6;
        break;
      case Family::kHostCopy:
        if (p.label != "to-device-pinned") break;
        if (p.key[1] == 1) fit.pcie_gb_per_s = std::max(fit.pcie_gb_per_s, number(p, 0) / p.seconds / 1e9);
        if (p.key[1] > 1 && p.key[0] == 4096) fit.copy_latency_us = p.seconds / number(p, 1) * 1e6;
        break;
      default:
        break;
    }
  }
  const auto share = [](double x) { return std::clamp(x, 0.01, 1.0); };
  fit.gemm_compute = share(median(gemm_compute, base.gemm_compute_efficiency));
  fit.gemm_memory = share(median(gemm_memory, base.gemm_memory_efficiency));
  fit.attention_compute = share(median(attention_compute, base.attention_compute_efficiency));
  fit.attention_memory = share(median(attention_memory, base.attention_memory_efficiency));
  fit.elementwise_memory = share(copied > 0 ? fit.elementwise_memory : base.elementwise_memory_efficiency);
  return fit;
}

std::vector<MeasuredPoint> streaming_curve(std::span<const MeasuredPoint> points) {
  std::map<std::string, std::map<double, double>> curves;  // kernel -> log bytes -> log seconds
  for (const MeasuredPoint& p : points)
    if (is_layer_kernel(p)) curves[p.label][std::log(number(p, 0))] = std::log(p.seconds);
  std::vector<MeasuredPoint> curve;
  for (std::int64_t bytes = 1 << 13; !curves.empty(); bytes *= 2) {
    const double x = std::log(static_cast<double>(bytes));
    double sum = 0;
    for (const auto& [kernel, times] : curves) {
      const auto after = times.lower_bound(x);
      if (after == times.end()) return curve;  // beyond the largest of some kernel
      if (after == times.begin()) {
        sum += after->second;
        continue;
      }
      const auto before = std::prev(after);
      sum += before->second + (after->second - before->second) * (x - before->first) / (after->first - before->first);
    }
    MeasuredPoint p;
    p.family = Family::kStreaming;
    p.label = "layer-kernels";
    p.key = {bytes};
    p.seconds = std::exp(sum / static_cast<double>(curves.size()));
    curve.push_back(p);
  }
  return curve;
}

namespace {

std::string profile_text(const std::string& stem, const CalibrationFacts& f, const Efficiencies& fit,
                         const KernelUncertainty& uncertainty, std::span<const MeasuredPoint> points) {
  const std::string how = fmt::format("measured on {}, {}", f.device, f.date);
  std::string text = fmt::format(
      "device: {}\nevidence: fitted\nsource: \"{}; rates, links, power and price as stated\"\n", f.device, how);
  const auto fact = [&](std::string_view indent, std::string_view key, const std::string& value,
                        std::string_view source, std::string_view evidence) {
    text += fmt::format("{}{}: {{value: {}, source: \"{}\", evidence: {}}}\n", indent, key, value, source, evidence);
  };
  fact("", "compute_capability", std::to_string(f.compute_capability), "the driver", "measured");
  fact("", "num_sms", std::to_string(f.num_sms), "the driver", "measured");
  fact("", "memory", fmt::format("{} B", f.memory_bytes), "cudaMemGetInfo", "measured");
  text += "efficiency:\n";
  const auto share = [&](std::string_view key, double value, std::string_view source) {
    fact("  ", key, fmt::format("{:.3f}", value), source, "fitted");
  };
  share("gemm_compute", fit.gemm_compute, "median of bf16 products of 4,096 rows and more");
  share("gemm_memory", fit.gemm_memory, "median of bf16 products of up to 16 rows and 64 MB of weights and more");
  share("attention_compute", fit.attention_compute, "median of causal attention over 4,096 new tokens and more");
  share("attention_memory", fit.attention_memory, "median of decode attention over 256 MB of KV and more");
  share("elementwise_memory", fit.elementwise_memory, "the largest device copy");
  fact("", "kernel_fixed_time", fmt::format("{:.2f} us", fit.kernel_fixed_us),
       "empty kernels in a row in a stream, launched ahead", "measured");
  fact("", "graph_kernel_gap", fmt::format("{:.2f} us", fit.graph_gap_us), "empty kernels in a row in a CUDA graph",
       "measured");
  fact("", "stream_kernel_gap", fmt::format("{:.2f} us", std::max(0.0, fit.stream_gap_us)),
       "a layer's kernels for 16 rows launched ahead in a stream, less the same in a CUDA graph", "measured");
  fact("", "context_bytes", fmt::format("{} B", f.context_bytes), "device memory in use before the first allocation",
       "measured");
  fact("", "pcie_bandwidth", fmt::format("{:.1f} GB/s", fit.pcie_gb_per_s), "largest pinned copy to the device",
       "measured");
  fact("", "copy_latency", fmt::format("{:.2f} us", fit.copy_latency_us), "pinned copies of 4 KiB in a row",
       "measured");
  text += "uncertainty:\n";
  const auto deviation = [&](std::string_view key, double value, std::string_view source) {
    fact("  ", key, fmt::format("{:.3f}", value), source, "measured");
  };
  deviation("gemm", uncertainty.gemm, "bf16 products held out of the table, and spread of repetitions");
  deviation("attention", uncertainty.attention, "attention held out of the tables, and spread of repetitions");
  deviation("elementwise", uncertainty.elementwise, "kernels that move bytes beside their common curve");
  deviation("transfer", uncertainty.transfer, "spread of repeated host copies");
  text += "tables:\n";
  const auto table = [&](std::string_view kind, Family family) {
    std::vector<double> spreads;
    std::int64_t repetitions = 0;
    for (const MeasuredPoint& p : points) {
      if (p.family != family) continue;
      spreads.push_back(p.spread);
      repetitions = std::max(repetitions, p.repetitions);
    }
    if (spreads.empty()) return;
    const std::string file = fmt::format("tables/{}-{}.csv.gz", entry_of(family).name, stem);
    text += fmt::format(
        "  - kind: {}\n    file: {}\n    evidence: measured\n    source: \"headroom calibrate, {}\"\n"
        "    measured: {{device: \"{}\", driver: \"{}\", cuda: \"{}\", clocks: \"{}\", date: \"{}\", repetitions: "
        "\"median of {}\", spread: \"{:.2g} % (median interquartile range)\"}}\n",
        kind, file, how, f.device, f.driver, f.cuda, f.clocks, f.date, repetitions, median(spreads, 0) * 100);
  };
  table("gemm", Family::kGemm);
  table("decode-attention", Family::kDecodeAttention);
  table("unequal-decode-attention", Family::kUnequalDecode);
  table("prefill-attention", Family::kPrefillAttention);
  table("streaming", Family::kStreaming);
  return text;
}

}  // namespace

std::string facts_text(const CalibrationFacts& f) {
  return fmt::format(
      "device: \"{}\"\ncompute_capability: {}\nnum_sms: {}\nmemory: {} B\ncontext: {} B\ndriver: \"{}\"\ncuda: \"{}\"\n"
      "clocks: \"{}\"\ndate: \"{}\"\n",
      f.device, f.compute_capability, f.num_sms, f.memory_bytes, f.context_bytes, f.driver, f.cuda, f.clocks, f.date);
}

CalibrationFacts read_facts(const std::string& path) {
  const Map map(load_yaml(path));
  CalibrationFacts f;
  f.device = map.at("device").text();
  f.compute_capability = static_cast<std::int32_t>(map.at("compute_capability").integer(1, 1000));
  f.num_sms = static_cast<std::int32_t>(map.at("num_sms").integer(1, 10'000));
  f.memory_bytes = map.at("memory").size().count();
  f.context_bytes = map.at("context").size().count();
  f.driver = map.at("driver").text();
  f.cuda = map.at("cuda").text();
  f.clocks = map.at("clocks").text();
  f.date = map.at("date").text();
  map.done();
  return f;
}

KernelUncertainty uncertainty_of(std::span<const MeasuredPoint> points, std::span<const HeldOut> held) {
  struct MeanSquare {
    double sum = 0;
    std::size_t count = 0;
    void add(double x) {
      sum += x * x;
      ++count;
    }
    double root() const { return count == 0 ? 0 : std::sqrt(sum / static_cast<double>(count)); }
  };
  constexpr double kNormal = 1.349;  // interquartile range of a normal distribution, in standard deviations
  MeanSquare gemm, attention, elementwise, transfer, gemm_spread, attention_spread;
  const std::vector<MeasuredPoint> curve = streaming_curve(points);
  for (const HeldOut& h : held)
    (h.point->family == Family::kGemm ? gemm : attention).add(std::log(h.predicted / h.point->seconds));
  for (const MeasuredPoint& p : points) {
    if (p.family == Family::kGemm) gemm_spread.add(p.spread / kNormal);
    if (p.family == Family::kDecodeAttention || p.family == Family::kUnequalDecode ||
        p.family == Family::kPrefillAttention)
      attention_spread.add(p.spread / kNormal);
    if (p.family == Family::kHostCopy) transfer.add(p.spread / kNormal);
    if (!is_layer_kernel(p)) continue;
    for (const MeasuredPoint& c : curve)  // sizes are rounded to whole rows: compared with the nearest power of two
      if (std::abs(std::log2(number(p, 0) / number(c, 0))) < 0.1) elementwise.add(std::log(p.seconds / c.seconds));
  }
  return {std::hypot(gemm.root(), gemm_spread.root()), std::hypot(attention.root(), attention_spread.root()),
          elementwise.root(), transfer.root()};
}

void write_profile(const std::string& path, const std::string& base_file, const CalibrationFacts& facts,
                   const Efficiencies& fit, const KernelUncertainty& uncertainty,
                   std::span<const MeasuredPoint> points) {
  const std::string stem = stem_of(path);
  const std::string folder = (std::filesystem::path(path).parent_path() / "tables").string();
  make_folder(folder);
  for (const FamilyEntry& family : families()) {
    std::vector<MeasuredPoint> rows;
    for (const MeasuredPoint& p : points) {
      // The simulator knows no dtype of that name; what tf32 gives is kept with the raw tables.
      if (p.family == family.family && p.label != "tf32") rows.push_back(p);
    }
    if (family.family == Family::kStreaming) rows = streaming_curve(points);
    constexpr Family kRead[] = {Family::kGemm, Family::kDecodeAttention, Family::kUnequalDecode,
                                Family::kPrefillAttention, Family::kStreaming};
    if (rows.empty() || std::find(std::begin(kRead), std::end(kRead), family.family) == std::end(kRead)) continue;
    write_gzip_file(fmt::format("{}/{}-{}.csv.gz", folder, family.name, stem), table_csv(family.family, rows));
  }
  const Value top = parse_yaml(profile_text(stem, facts, fit, uncertainty, points), path);
  write_text_file(path, text_of(Map(top).over(load_yaml(base_file)), 0));
}

}  // namespace headroom
