// From measured points to a hardware profile: tables, efficiencies fitted to them, and how well the tables predict
// points that were held out. Needs no GPU.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware.h"
#include "validate/microbench/measured.h"

namespace headroom {

struct CalibrationFacts {
  std::string device;
  std::int32_t compute_capability = 0, num_sms = 0;
  std::int64_t memory_bytes = 0, context_bytes = 0;
  std::string driver, cuda, clocks, date;
  std::string nccl;  // its version and settings; empty where no collective was measured
};

// Kept beside the tables of measurements, and read back.
std::string facts_text(const CalibrationFacts& facts);
CalibrationFacts read_facts(const std::string& path);

// Numbers that stand for whole families outside of the tables. 0: no point says it.
struct Efficiencies {
  double gemm_compute = 0, gemm_memory = 0, attention_compute = 0, attention_memory = 0, elementwise_memory = 0;
  double kernel_fixed_us = 0, graph_gap_us = 0, stream_gap_us = 0, pcie_gb_per_s = 0, copy_latency_us = 0;
  std::optional<CollectiveLink> collectives;
};
Efficiencies fit_efficiencies(const HardwareProfile& base, std::span<const MeasuredPoint> points);

// The streaming kernels of a forward pass as one curve: the geometric mean of their times at equal bytes.
std::vector<MeasuredPoint> streaming_curve(std::span<const MeasuredPoint> points);

// A prediction of a point that the tables behind it do not hold.
struct HeldOut {
  const MeasuredPoint* point = nullptr;
  double predicted = 0;  // seconds
};
// Takes every third point, by a hash of its key, out of the tables of products and attention and out of the fit of
// all-reduces, and predicts it. Collectives that are in no fit are predicted too, all of them.
std::vector<HeldOut> hold_out_a_third(const HardwareProfile& base, const Efficiencies& fit,
                                      std::span<const MeasuredPoint> points);
std::string held_out_csv(std::span<const HeldOut> held);
struct ErrorSummary {
  std::size_t count = 0;
  double median = 0, p95 = 0;
};
// `label`: only of that kind; empty: of all.
ErrorSummary error_of(Family family, std::span<const HeldOut> held, std::string_view label = {});

// How far a modelled time may lie from a true one, as the profile will say of itself (models/uncertainty.h): the root
// mean square of the held-out points' log errors and of the measurements' own spreads; of kernels that move bytes, of
// their distances from the one curve for all; of transfers, the spread of copies or the errors of held-out all-reduces,
// whichever are larger. 0: not measured.
KernelUncertainty uncertainty_of(std::span<const MeasuredPoint> points, std::span<const HeldOut> held);

// Writes the profile at `path`, its tables in tables/ beside it. What is not measured (data-sheet rates, links, power,
// price, families that were left out) comes from the profile in `base_file`, sources and tables included.
void write_profile(const std::string& path, const std::string& base_file, const CalibrationFacts& facts,
                   const Efficiencies& fit, const KernelUncertainty& uncertainty,
                   std::span<const MeasuredPoint> points);

}  // namespace headroom
