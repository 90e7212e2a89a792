// ZeRO: what each data-parallel rank holds of weights, gradients and optimizer states, and what that costs at
// inference.
//
// Stages 1 and 2 shard optimizer states and gradients, of which inference has none; stage 3 shards the weights, so
// every pass, each decode step too, brings each layer together before it runs (SEMANTICS 5.1, 5.2). With offload the
// shards lie in host memory or on NVMe instead (ZeRO-Inference).
#pragma once

#include <cstdint>

#include "models/hardware.h"
#include "models/model_shape.h"
#include "models/units.h"

namespace headroom {

enum class ZeroOffload { kNone, kCpu, kNvme };

// Bytes of model states on one of `ranks` ranks in mixed-precision training with Adam: fp16 weights and gradients,
// fp32 weights, momentum and variance (K = 12). Fractions of a byte are rounded.
struct ZeroStates {
  Bytes weights, gradients, optimizer;
  Bytes total() const { return weights + gradients + optimizer; }
};
ZeroStates zero_training_states(std::int64_t parameters, int stage, std::int64_t ranks);
// The same at inference: 2 bytes a parameter, whole up to stage 2.
ZeroStates zero_inference_states(std::int64_t parameters, int stage, std::int64_t ranks);
// GPU bytes that DeepSpeed's own estimator gives for stages 2 and 3 without offload: it adds fp32 gradients of the
// partition (18 in place of 16), and for stage 3 the largest layer in fp32 elements.
Bytes deepspeed_estimate(std::int64_t parameters, std::int64_t largest_layer, int stage, std::int64_t ranks);

// How a model's weights are kept and brought together under stage 3 or offload.
struct ZeroOptions {
  ZeroOffload offload = ZeroOffload::kNone;
  std::int64_t ranks = 1;                            // that share the weights, or a tensor-parallel rank's part of them
  std::int64_t prefetch_layers = 1;                  // fetched ahead while a layer computes; 0: no overlap
  std::int64_t max_live_parameters = 1'000'000'000;  // on one GPU at once, brought-together ones; DeepSpeed's default
  std::int64_t persistence_threshold = 100'000;      // smaller parameters stay whole on every rank; DeepSpeed's default
  double pinned_fraction = 0;                        // of each layer's weights, stays whole on every rank
  BytesPerSecond host_link;                          // of one GPU to host memory
  BytesPerSecond nvme;                               // of all drives together, for what `ranks` fetch
  CollectiveLink all_gather;                         // between ranks
};

// What moves in one forward pass. Layers are taken as equal, each as the mean of all.
struct ZeroWeights {
  std::int64_t layers = 0;
  Bytes resident;                    // on each GPU: small and pinned ones, and the shard unless offloaded
  Bytes gathered;                    // largest sum of what is brought together at once
  std::int64_t prefetch_layers = 0;  // as the bound on live parameters leaves it
  Seconds first;                     // fetch of the embedding, before the first layer
  Seconds layer;                     // fetch of one layer
  Seconds head;                      // fetch of the LM head
  double first_bytes = 0, layer_bytes = 0, head_bytes = 0;  // that these fetches bring to one GPU in all
};
// Tensor parallelism cuts first, ZeRO shards each rank's part over the data-parallel ranks (DeepSpeed's order).
ZeroWeights zero_weights(const ModelShape& model, const WeightOptions& weights, const ZeroOptions& options);

// Time of one pass whose layers compute for c = `layer` each and whose head computes for h = `head`, and how it grows
// with c. e, f, g: fetch of embedding, layer, head; D = prefetch_layers; one fetch at a time, in order.
//
//   D = 0: t = e + L (f + c) + g + h
//   else : t = e + h + max(f + L c,           compute never waits after the first layer
//                          L f + c,           the link never rests, the last layer computes last
//                          L f + g,           the head is fetched last
//                          f + (L - D) c + g) the head's fetch waits for room
// The second is SEMANTICS 5.2 (prefetch 1) for equal layers; nothing is fetched ahead of the next step.
struct StreamedTime {
  Seconds time;
  double per_layer_time = 0;  // d time / d layer
  Seconds until;              // largest `layer` the slope holds for
};
StreamedTime streamed_time(const ZeroWeights& weights, Seconds layer, Seconds head);

}  // namespace headroom
