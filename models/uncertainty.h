// How far a cost may lie from the model's, and a card whose costs do.
//
// An Uncertainty is one standard deviation of the logarithm of true over modelled time: 0.05 says that two times out of
// three the model is within 5 %. It covers what a profile cannot know of a kernel: the spread of repeated measurements,
// the model's error on shapes left out of its fit, another library's kernel for the same work.
#pragma once

#include <cstdint>
#include <string_view>

#include "models/hardware.h"

namespace headroom {

// Factors on the time of each kind of work.
struct KernelScale {
  double gemm = 1;
  double attention = 1;
  double elementwise = 1;
  double transfer = 1;  // collectives, copies over PCIe
};

// The same card with every kernel of a kind slower by its factor: rates, fixed times and tables alike. What no kernel
// can beat, the bytes of its operands at nominal bandwidth, stays.
HardwareProfile scaled(const HardwareProfile& hardware, const KernelScale& scale);

// A machine's links slower by the factor of transfers.
NodeProfile scaled(const NodeProfile& node, const KernelScale& scale);

// What no cost of a profile or preset explains: mechanisms that the model lacks, another engine's overheads. By what is
// predicted and by the ground it stands on, best ground first.
enum class Predicted { kFirstToken, kTime, kMemory };  // TTFT and waiting; other times and rates; bytes and blocks
enum class Ground {
  kOwnKernels,    // every kind of kernel in a table of this card: what `headroom calibrate` writes, for its own kernels
  kKernelTables,  // products and attention in tables of this card, whoever's kernels they were
  kFitted,        // rates fitted to published measurements
  kDatasheet,
};
Ground ground_of(const HardwareProfile& hardware);
std::string_view name_of(Ground ground);

// By what factor, as a logarithm, a measured value may leave a 90 % interval of costs and workload on either side so
// that nine in ten do not leave the widened one: the conformal quantile over the measured runs of the fit part (see
// validate/fit/fit_discrepancy.py, which prints the table, and results/validation for those it was not fitted to).
double model_discrepancy(Predicted what, Ground ground);

// For profiles that state none: by their evidence word alone. Order of magnitude of the held-out errors in
// results/overlap (measured, fitted); assumed for data sheets.
KernelUncertainty usual_uncertainty(Evidence evidence);

}  // namespace headroom
