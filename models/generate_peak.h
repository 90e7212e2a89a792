// Peak of live device memory of one generate() call over a static batch, weights apart (SEMANTICS 1.2, 1.3, 1.5).
//
// The larger of two moments: the prefill, with the cache of the prompts and the temporaries of all their tokens; and
// the last decode step, with the whole cache, one layer's K while it is copied into a longer tensor (growing cache
// only), and the temporaries of one token a row. Held to an H100 within 2 % with flash, 3 % with eager attention
// (tests/unit/models).
#pragma once

#include <cstdint>

#include "models/hardware.h"
#include "models/model_shape.h"
#include "models/operator_graph.h"

namespace headroom {

struct GenerateCall {
  std::int64_t rows = 1;
  std::int64_t prompt_tokens = 1;  // of each row, padding included
  std::int64_t new_tokens = 1;     // of each row
  bool static_cache = false;       // full length from the start
};

Bytes generate_peak(const ModelShape& model, const ForwardOptions& options, const GenerateCall& call);

// What PyTorch keeps allocated beside the weights once a product has run: cuBLAS's workspace, 32 MiB on Hopper,
// 8.1 MiB before (torch.cuda documentation, CUBLAS_WORKSPACE_CONFIG).
Bytes blas_workspace(const HardwareProfile& hardware);

}  // namespace headroom
