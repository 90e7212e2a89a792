#include "validate/microbench/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/config/reader.h"
#include "validate/microbench/collective_fit.h"

namespace headroom {
namespace {

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
  const auto share = [](double x) { return x > 0 ? std::clamp(x, 0.01, 1.0) : 0; };
  fit.gemm_compute = share(median(gemm_compute));
  fit.gemm_memory = share(median(gemm_memory));
  fit.attention_compute = share(median(attention_compute));
  fit.attention_memory = share(median(attention_memory));
  fit.elementwise_memory = share(fit.elementwise_memory);
  fit.collectives = fit_collectives(points);
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

std::string facts_text(const CalibrationFacts& f) {
  return fmt::format(
      "device: \"{}\"\ncompute_capability: {}\nnum_sms: {}\nmemory: {} B\ncontext: {} B\ndriver: \"{}\"\ncuda: \"{}\"\n"
      "clocks: \"{}\"\ndate: \"{}\"\n{}",
      f.device, f.compute_capability, f.num_sms, f.memory_bytes, f.context_bytes, f.driver, f.cuda, f.clocks, f.date,
      f.nccl.empty() ? "" : fmt::format("nccl: \"{}\"\n", f.nccl));
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
  if (const auto nccl = map.find("nccl")) f.nccl = nccl->text();
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
  MeanSquare gemm, attention, elementwise, copies, all_reduces, gemm_spread, attention_spread;
  const std::vector<MeasuredPoint> curve = streaming_curve(points);
  for (const HeldOut& h : held) {
    const double error = std::log(h.predicted / h.point->seconds);
    if (h.point->family == Family::kGemm) {
      gemm.add(error);
    } else if (h.point->family != Family::kCollective) {
      attention.add(error);
    } else if (is_fitted_collective(*h.point)) {
      all_reduces.add(error);
    }
  }
  for (const MeasuredPoint& p : points) {
    if (p.family == Family::kGemm) gemm_spread.add(p.spread / kNormal);
    if (p.family == Family::kDecodeAttention || p.family == Family::kUnequalDecode ||
        p.family == Family::kPrefillAttention)
      attention_spread.add(p.spread / kNormal);
    if (p.family == Family::kHostCopy) copies.add(p.spread / kNormal);
    if (!is_layer_kernel(p)) continue;
    for (const MeasuredPoint& c : curve)  // sizes are rounded to whole rows: compared with the nearest power of two
      if (std::abs(std::log2(number(p, 0) / number(c, 0))) < 0.1) elementwise.add(std::log(p.seconds / c.seconds));
  }
  return {std::hypot(gemm.root(), gemm_spread.root()), std::hypot(attention.root(), attention_spread.root()),
          elementwise.root(), std::max(copies.root(), all_reduces.root())};
}

}  // namespace headroom
