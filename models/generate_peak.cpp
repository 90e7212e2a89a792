#include "models/generate_peak.h"

#include <algorithm>

namespace headroom {

Bytes generate_peak(const ModelShape& model, const ForwardOptions& options, const GenerateCall& call) {
  const std::int64_t per_token =
      kv_bytes_per_token(model, options.kv_dtype, options.weights.tensor_parallel).count() * call.rows;
  const std::int64_t most = call.prompt_tokens + call.new_tokens - 1;  // the last token's KV is never written
  const auto temporaries = [&](std::int64_t tokens, std::int64_t past) {
    OperatorGraph::PassShape pass;
    pass.tokens = call.rows * tokens;
    pass.sequences = call.rows;
    pass.past = past;
    pass.logit_rows = call.rows;
    return OperatorGraph(model, options, pass).activation_peak().count();
  };
  const std::int64_t prefill =
      per_token * (call.static_cache ? most : call.prompt_tokens) + temporaries(call.prompt_tokens, 0);
  if (call.new_tokens == 1) return Bytes{prefill};
  const std::int64_t copied = call.static_cache ? 0 : per_token * most / (2 * model.num_layers);
  return Bytes{std::max(prefill, per_token * most + copied + temporaries(1, most - 1))};
}

Bytes blas_workspace(const HardwareProfile& hardware) {
  return Bytes{hardware.compute_capability >= 90 ? 32 * kMiB : 8 * kMiB + kMiB / 8};
}

}  // namespace headroom
