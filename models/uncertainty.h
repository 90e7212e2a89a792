// How far a cost may lie from the model's, and a card whose costs do.
//
// An Uncertainty is one standard deviation of the logarithm of true over modelled time: 0.05 says that two times out of
// three the model is within 5 %. It covers what a profile cannot know of a kernel: the spread of repeated measurements,
// the model's error on shapes left out of its fit, another library's kernel for the same work.
#pragma once

#include <cstdint>

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

// For profiles that state none: by their evidence word alone. Order of magnitude of the held-out errors in
// results/overlap (measured, fitted); assumed for data sheets.
KernelUncertainty usual_uncertainty(Evidence evidence);

}  // namespace headroom
