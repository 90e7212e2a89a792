// How long one forward pass of an engine takes: GPU kernels (SEMANTICS 9) and the host that feeds them.
//
// A pure function of the step's shape. Between two scheduling decisions a decode run's shape changes only by one more
// token of context per sequence, so decode_run() gives many steps at once as an arithmetic progression.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/hardware.h"
#include "models/operator_graph.h"
#include "models/units.h"
#include "models/zero.h"

namespace headroom {

// `sequences` prompts (or chunks of prompts) of equal shape inside one step.
struct PrefillChunk {
  std::int64_t new_tokens = 0;
  std::int64_t past_tokens = 0;
  std::int64_t sequences = 1;
};

// What one step computes. Contexts count the tokens attended to, the new one included.
struct StepShape {
  std::int64_t decode_sequences = 0;
  std::int64_t decode_query_tokens = 1;      // per sequence; 1 + drafts under speculation
  std::int64_t decode_context = 0;           // sum over decoding sequences
  std::int64_t decode_windowed_context = 0;  // sum of min(context, window); equals decode_context without a window
  double decode_spread = 0;                  // standard deviation of the contexts, in tokens; kept where it counts
  std::span<const PrefillChunk> prefills;
  std::int64_t logit_rows = 0;      // rows the LM head runs on
  std::int64_t copied_context = 0;  // tokens whose KV is copied as a whole (HF's growing cache)
  std::int64_t block_copies = 0;    // whole KV blocks copied on the device (copy-on-write)
  std::int64_t swapped_blocks = 0;  // KV blocks moved over PCIe in this step, either way
  // Speculation with a draft model: sequences it proposes for and the sum of their contexts. The first `prompt_chunks`
  // of `prefills` are prompts, which it computes too; the others are drafts being verified.
  std::int64_t draft_sequences = 0;
  std::int64_t draft_context = 0;
  std::size_t prompt_chunks = 0;
};

// What the engine adds on the host, and how host and GPU time combine. Belongs to an engine on a host, not to the GPU.
struct HostCost {
  Seconds per_step;  // scheduler, input preparation, sampling, detokenise: fixed part
  Seconds per_sequence;
  Seconds per_prefill_token;
  Seconds per_call;                       // of generate(): from the call to the first kernel
  bool eager_launches = false;            // true: every kernel is launched by the framework, t = max(gpu, host)
  bool asynchronous = false;              // true: host work of a step hides behind the GPU's (SEMANTICS 2.2.6)
  std::vector<std::int64_t> graph_sizes;  // captured batch sizes, ascending; T is padded up to the next one
  bool graphs_of_decodes_only = false;    // steps with prompts are launched kernel by kernel, ahead of the GPU
};

struct StepTime {
  Seconds total;
  Seconds gpu;      // kernels alone
  Seconds host;     // host work of the step, hidden or not
  Seconds working;  // of a pipeline (sim/engine/pipeline.h): total without waiting for stages and ways between them
  // Parts of gpu:
  Seconds gemm;
  Seconds attention;
  Seconds elementwise;
  Seconds cache_copy;     // HF's growing cache, copy-on-write, swap
  Seconds communication;  // all-reduces, all-to-alls, and what computation waits for weights that are brought together
  Seconds extrapolated;   // share of gpu that no measured table covered
};

// `steps` consecutive decode steps: step i (from 0) takes first + i * slope; its parts grow likewise.
struct DecodeRun {
  std::int64_t steps = 0;
  Seconds first;
  Seconds slope;
  StepTime parts;  // of the first step
  Seconds attention_slope;
  Seconds cache_copy_slope;
  Seconds communication_slope;  // negative where more to compute hides more of a fetch
  Seconds extrapolated_slope;
  // Sum over the run of something that starts at `at_first` and grows by `growth` a step.
  Seconds sum(Seconds at_first, Seconds growth) const {
    const auto n = static_cast<double>(steps);
    return n * at_first + (n * (n - 1) / 2) * growth;
  }
  Seconds time() const { return sum(first, slope); }
  Seconds gpu_slope() const { return attention_slope + cache_copy_slope + communication_slope; }
};

struct StepTimeOptions {
  ForwardOptions forward;
  HostCost host;
  std::int64_t tensor_parallel = 1;
  std::optional<CollectiveLink> all_reduce;  // between tensor-parallel ranks; without, the card's own
  std::optional<CollectiveLink> all_to_all;  // between the ranks that share experts; needed where batches meet there
  std::optional<BytesPerSecond> host_link;   // of swapped blocks; without, the card's own
  std::optional<ZeroWeights> zero;           // weights fetched layer by layer in every pass
  std::int64_t kv_block_bytes = 0;           // of one block in all layers, for block_copies
  double kv_bytes_per_token = 0;             // all layers on this rank, for copied_context
  // Speculation: what proposes drafts, one decode pass for each of `draft_tokens`; of one layer for an EAGLE head.
  std::optional<ModelShape> draft;
  std::int64_t draft_tokens = 0;
};

class StepTimeModel {
 public:
  StepTimeModel(const ModelShape& model, const HardwareProfile& hardware, StepTimeOptions options);
  StepTimeModel(ForwardOps ops, const HardwareProfile& hardware, StepTimeOptions options);
  ~StepTimeModel();
  StepTimeModel(StepTimeModel&&) noexcept;

  // Time of one step. Requires at least one token in the shape.
  StepTime step_time(const StepShape& shape) const;

  // The longest run of at most `max_steps` decode-only steps that starts at `shape` and whose times form one
  // arithmetic progression. `context_growth` and `windowed_growth` are the tokens that each further step adds to
  // decode_context and decode_windowed_context, `copied_growth` to copied_context. Agrees with step_time() on every
  // step to 1e-12 relative. Requires no prefills in `shape`, max_steps >= 1; steps >= 1 in the result.
  struct Growth {
    std::int64_t context = 0;
    std::int64_t windowed = 0;
    std::int64_t copied = 0;
  };
  DecodeRun decode_run(const StepShape& shape, Growth growth, std::int64_t max_steps) const;

  // Whether StepShape::decode_spread makes a difference.
  bool depends_on_spread() const;

  // The step taken apart, for those who simulate its transfers as flows: `compute` is everything that is not among the
  // transfers below, at its time on idle links.
  struct Work {
    Seconds compute_of_layers;  // all-reduces, swaps and weights that are brought together left out
    Seconds compute_after;      // head and draft
    Seconds swapping;           // of swapped_blocks
    std::int64_t all_reduces = 0;
    double all_reduce_bytes = 0;  // of one, on one rank
    Seconds reducing;             // of all of them
  };
  Work work(const StepShape& shape) const;
  // The step if all that its GPU does takes `gpu`: what that is more than on idle links counts as communication.
  StepTime step_time(const StepShape& shape, Seconds gpu) const;

  const ForwardOps& ops() const;
  // Measured, if measured tables stand behind some of this model's kernels: StepTime::extrapolated says of how much of
  // the time they do not. Else as good as the profile.
  Evidence evidence() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
