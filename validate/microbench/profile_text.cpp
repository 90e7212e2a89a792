// The text of a measured profile: what was measured over what the base profile says.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/config/catalogue.h"
#include "sim/output/files.h"
#include "validate/microbench/collective_fit.h"
#include "validate/microbench/profile.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

std::string how_measured(const CalibrationFacts& f) {
  return fmt::format("measured on {}, {}", f.device, f.date);
}

std::string kind_of_table(Family family) {  // that a profile has of the family; empty: none
  switch (family) {
    case Family::kGemm:
      return "gemm";
    case Family::kDecodeAttention:
      return "decode-attention";
    case Family::kUnequalDecode:
      return "unequal-decode-attention";
    case Family::kPrefillAttention:
      return "prefill-attention";
    case Family::kStreaming:
      return "streaming";
    default:
      return {};
  }
}

std::vector<Value> tables_of_kind(const std::string& kind, const Map& base) {
  std::vector<Value> of_kind;
  if (const auto tables = base.find("tables"))
    for (const Value& table : tables->items())
      if (table.map().at("kind").text() == kind) of_kind.push_back(table);
  return of_kind;
}

std::string all_reduces_text(const CalibrationFacts& f, std::span<const MeasuredPoint> points) {
  std::vector<std::int64_t> gpus, bytes;
  for (const MeasuredPoint& p : points) {
    if (!is_fitted_collective(p)) continue;
    gpus.push_back(p.key[0]);
    bytes.push_back(p.key[1]);
  }
  const auto [least, most] = std::minmax_element(gpus.begin(), gpus.end());
  const auto [small, large] = std::minmax_element(bytes.begin(), bytes.end());
  return fmt::format("all-reduces of bf16 by NCCL {} in CUDA graphs, {} GPUs, {} B to {} MiB, one law for all", f.nccl,
                     *least == *most ? std::to_string(*least) : fmt::format("{} to {}", *least, *most), *small,
                     *large >> 20);
}

std::string tables_text(const std::string& stem, const CalibrationFacts& f, std::span<const MeasuredPoint> points,
                        const Map& base) {
  std::string tables;
  for (const FamilyEntry& family : families()) {
    const std::string kind = kind_of_table(family.family);
    if (kind.empty()) continue;
    std::vector<double> spreads;
    std::int64_t repetitions = 0;
    for (const MeasuredPoint& p : points) {
      if (p.family != family.family) continue;
      spreads.push_back(p.spread);
      repetitions = std::max(repetitions, p.repetitions);
    }
    if (spreads.empty()) {
      for (const Value& table : tables_of_kind(kind, base)) tables += fmt::format("  - {}\n", text_of(table));
      continue;
    }
    const std::string file = fmt::format("tables/{}-{}.csv.gz", family.name, stem);
    tables += fmt::format(
        "  - kind: {}\n    file: {}\n    evidence: measured\n    source: \"headroom calibrate, {}\"\n"
        "    measured: {{device: \"{}\", driver: \"{}\", cuda: \"{}\", clocks: \"{}\", date: \"{}\", repetitions: "
        "\"median of {}\", spread: \"{:.2g} % (median interquartile range)\"}}\n",
        kind, file, how_measured(f), f.device, f.driver, f.cuda, f.clocks, f.date, repetitions, median(spreads) * 100);
  }
  return tables;
}

std::string profile_text(const std::string& stem, const CalibrationFacts& f, const Efficiencies& fit,
                         const KernelUncertainty& uncertainty, std::span<const MeasuredPoint> points, const Map& base,
                         const KernelUncertainty& other) {
  std::string text =
      fmt::format("device: {}\nevidence: fitted\nsource: \"{}; rates, links, power and price as stated\"\n", f.device,
                  how_measured(f));
  const auto fact = [&](std::string_view indent, std::string_view key, const std::string& value,
                        std::string_view source, std::string_view evidence) {
    text += fmt::format("{}{}: {{value: {}, source: \"{}\", evidence: {}}}\n", indent, key, value, source, evidence);
  };
  fact("", "compute_capability", std::to_string(f.compute_capability), "the driver", "measured");
  fact("", "num_sms", std::to_string(f.num_sms), "the driver", "measured");
  fact("", "memory", fmt::format("{} B", f.memory_bytes), "cudaMemGetInfo", "measured");
  text += "efficiency:\n";
  const auto share = [&](std::string_view key, double value, std::string_view source) {
    if (value > 0) {
      fact("  ", key, fmt::format("{:.3f}", value), source, "fitted");
    } else {
      text += fmt::format("  {}: {}\n", key, text_of(base.map("efficiency").at(key)));
    }
  };
  share("gemm_compute", fit.gemm_compute, "median of bf16 products of 4,096 rows and more");
  share("gemm_memory", fit.gemm_memory, "median of bf16 products of up to 16 rows and 64 MB of weights and more");
  share("attention_compute", fit.attention_compute, "median of causal attention over 4,096 new tokens and more");
  share("attention_memory", fit.attention_memory, "median of decode attention over 256 MB of KV and more");
  share("elementwise_memory", fit.elementwise_memory, "the largest device copy");
  if (fit.kernel_fixed_us > 0)
    fact("", "kernel_fixed_time", fmt::format("{:.2f} us", fit.kernel_fixed_us),
         "empty kernels in a row in a stream, launched ahead", "measured");
  if (fit.graph_gap_us > 0)
    fact("", "graph_kernel_gap", fmt::format("{:.2f} us", fit.graph_gap_us), "empty kernels in a row in a CUDA graph",
         "measured");
  if (fit.stream_gap_us != 0)
    fact("", "stream_kernel_gap", fmt::format("{:.2f} us", std::max(0.0, fit.stream_gap_us)),
         "a layer's kernels for 16 rows launched ahead in a stream, less the same in a CUDA graph", "measured");
  fact("", "context_bytes", fmt::format("{} B", f.context_bytes), "device memory in use before the first allocation",
       "measured");
  if (fit.pcie_gb_per_s > 0)
    fact("", "pcie_bandwidth", fmt::format("{:.1f} GB/s", fit.pcie_gb_per_s), "largest pinned copy to the device",
         "measured");
  if (fit.copy_latency_us > 0)
    fact("", "copy_latency", fmt::format("{:.2f} us", fit.copy_latency_us), "pinned copies of 4 KiB in a row",
         "measured");
  if (fit.collectives) {
    const std::string source = all_reduces_text(f, points);
    fact("", "all_reduce_bandwidth", fmt::format("{:.1f} GB/s", fit.collectives->bandwidth.rate() / 1e9), source,
         "fitted");
    fact("", "collective_latency", fmt::format("{:.2f} us", fit.collectives->latency.count() * 1e6), source, "fitted");
  }
  text += "uncertainty:\n";
  const auto deviation = [&](std::string_view key, double value, double otherwise, std::string_view source) {
    if (value > 0) {
      fact("  ", key, fmt::format("{:.3f}", value), source, "measured");
    } else if (base.has("uncertainty")) {
      text += fmt::format("  {}: {}\n", key, text_of(base.map("uncertainty").at(key)));
    } else {
      fact("  ", key, fmt::format("{:.3f}", otherwise), "usual where none is stated. Assumed", "datasheet");
    }
  };
  deviation("gemm", uncertainty.gemm, other.gemm, "bf16 products held out of the table, and spread of repetitions");
  deviation("attention", uncertainty.attention, other.attention,
            "attention held out of the tables, and spread of repetitions");
  deviation("elementwise", uncertainty.elementwise, other.elementwise,
            "kernels that move bytes beside their common curve");
  deviation("transfer", uncertainty.transfer, other.transfer,
            fit.collectives ? "spread of repeated host copies, or errors of all-reduces held out of their fit if larger"
                            : "spread of repeated host copies");
  const std::string tables = tables_text(stem, f, points, base);
  return tables.empty() ? text : text + "tables:\n" + tables;
}

// A file of one folder into another, under the same name below it.
void copy_file(const fs::path& from, const fs::path& to, const std::string& name) {
  std::error_code ignored;
  if (fs::equivalent(from / name, to / name, ignored)) return;
  std::ifstream stream(from / name, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  make_folder((to / name).parent_path().string());
  write_text_file((to / name).string(), bytes);
}

}  // namespace

void write_profile(const std::string& path, const std::string& base_file, const CalibrationFacts& facts,
                   const Efficiencies& fit, const KernelUncertainty& uncertainty,
                   std::span<const MeasuredPoint> points) {
  const std::string stem = fs::path(path).stem().string();
  const fs::path beside = fs::path(path).parent_path();
  const std::string folder = (beside / "tables").string();
  make_folder(folder);
  const Value base = load_yaml(base_file);
  const Map base_map(base);
  for (const FamilyEntry& family : families()) {
    std::vector<MeasuredPoint> rows;
    for (const MeasuredPoint& p : points) {
      // The simulator knows no dtype of that name; what tf32 gives is kept with the raw tables.
      if (p.family == family.family && p.label != "tf32") rows.push_back(p);
    }
    if (family.family == Family::kStreaming) rows = streaming_curve(points);
    const std::string kind = kind_of_table(family.family);
    if (kind.empty()) continue;
    if (rows.empty()) {
      for (const Value& table : tables_of_kind(kind, base_map))
        copy_file(fs::path(base_file).parent_path(), beside, table.map().at("file").text());
      continue;
    }
    write_gzip_file(fmt::format("{}/{}-{}.csv.gz", folder, family.name, stem), table_csv(family.family, rows));
  }
  const Value top = parse_yaml(
      profile_text(stem, facts, fit, uncertainty, points, base_map, read_hardware_file(base_file).profile.uncertainty),
      path);
  write_text_file(path, text_of(Map(top).over(base), 0));
}

}  // namespace headroom
