#include "models/step_time.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "models/host_copy.h"
#include "models/kernel_time.h"

namespace headroom {
namespace {

// One row's running sum is one block's work: its length counts, not the rows (validate/data/h100_sampling.csv).
constexpr Seconds kScanOfOneLogit{1.8e-9};
constexpr double kFirstPagedKernel = 1.23;  // times: 20 to 26 % more than FasterTransformer's (PagedAttention, 7.1)

// What a step costs that depends only on the number of tokens in its linear layers, or of its sampled rows.
struct LinearPart {
  double gemm = -1;  // negative: not computed yet
  double elementwise = 0;
  double communication = 0;
  double unmeasured = 0;  // of gemm and elementwise, outside measured tables
};

}  // namespace

// Linear layers are tabulated by token count as they are asked for: a pure function remembered. Not thread-safe.
struct StepTimeModel::Impl {
  ForwardOps ops;
  HardwareProfile hardware;
  StepTimeOptions options;
  KernelModel kernels;
  mutable std::vector<LinearPart> by_tokens, by_rows;
  std::unique_ptr<Impl> draft;     // on the same GPU, before the step it proposes for
  std::unique_ptr<Impl> prefills;  // steps with prompts, where only decode steps are compiled or graphs
  std::int64_t largest_graph = 0;

  Impl(ForwardOps forward, const HardwareProfile& hw, StepTimeOptions o)
      : ops(std::move(forward)), hardware(hw), options(std::move(o)), kernels(hardware, ops, options.forward) {
    if (!options.host.graph_sizes.empty()) largest_graph = options.host.graph_sizes.back();
    if (options.host.graphs_of_decodes_only && largest_graph > 0) {
      StepTimeOptions launched = options;
      launched.host.graph_sizes.clear();
      prefills = std::make_unique<Impl>(ops, hardware, std::move(launched));
    }
    if (!options.draft) return;
    StepTimeOptions of_draft = options;
    of_draft.draft.reset();
    of_draft.forward.weights.expert_parallel = of_draft.forward.expert_batches = 1;
    draft = std::make_unique<Impl>(forward_ops(*options.draft, of_draft.forward), hardware, of_draft);
  }

  std::int64_t padded(std::int64_t tokens) const {
    if (tokens > largest_graph) return tokens;
    const auto& sizes = options.host.graph_sizes;
    return *std::lower_bound(sizes.begin(), sizes.end(), tokens);
  }
  bool in_graph(std::int64_t tokens) const { return tokens <= largest_graph; }
  Seconds fixed(std::int64_t tokens) const {
    return in_graph(tokens) ? hardware.graph_kernel_gap : hardware.kernel_fixed_time;
  }

  // All-reduce of the hidden states of `tokens`. Its form was fitted to published sweeps of 2 to 8 cards, 3.5 to 10 %
  // in the median: the latency hardly grows with n, as one-shot kernels' does (ai-dynamo/aiconfigurator 095f58a5,
  // vLLM's and NCCL's).
  double all_reduce(std::int64_t tokens) const {
    if (options.tensor_parallel == 1) return 0;
    return all_reduce_time(options.all_reduce.value_or(all_reduce_link(hardware)),
                           static_cast<double>(options.tensor_parallel),
                           static_cast<double>(tokens * ops.hidden_bytes_per_token))
        .count();
  }

  // The way of `tokens` rows to their experts, or back.
  double all_to_all(std::int64_t tokens) const {
    if (ops.all_to_alls == 0) return 0;
    return all_to_all_time(*options.all_to_all, static_cast<double>(options.forward.weights.expert_parallel),
                           static_cast<double>(tokens) * ops.routed_bytes_per_token)
        .count();
  }

  LinearPart compute(std::int64_t tokens, std::int64_t graph_tokens, bool rows) const {
    LinearPart part;
    part.gemm = 0;
    for (std::size_t i = 0; i < ops.gemms.size(); ++i) {
      const GemmOp& g = ops.gemms[i];
      if (g.per_sampled_row != rows || tokens == 0) continue;
      const KernelTime t = kernels.gemm(i, tokens, fixed(graph_tokens));
      const double all = t.time.count() * static_cast<double>(g.count);
      part.gemm += all;
      if (!t.measured) part.unmeasured += all;
    }
    KernelTime streaming;
    double strided = 0;  // never in a table
    if (rows) {
      // The kernels behind the head have their starts counted among those of the layers.
      const double sampling = 2;
      streaming = kernels.streaming(ops.elementwise_bytes_per_row * static_cast<double>(tokens), sampling, Seconds{0});
      streaming.time = Seconds{std::max(0.0, streaming.time.count() - sampling * streaming.start.count())};
      streaming.time += static_cast<double>(ops.top_p_kernels) * hardware.kernel_fixed_time +
                        static_cast<double>(ops.scanned_logits) * kScanOfOneLogit;
    } else {
      // Every launched kernel that is no product and no attention has a start and a drain too.
      std::int64_t others = ops.kernels;
      for (const GemmOp& g : ops.gemms) others -= g.count;
      for (const AttentionOp& op : ops.attention) others -= op.layers;
      streaming = kernels.streaming(ops.elementwise_bytes_per_token * static_cast<double>(tokens),
                                    static_cast<double>(std::max<std::int64_t>(0, others)), fixed(graph_tokens));
      strided = kernels.strided(ops.strided_bytes_per_token * static_cast<double>(tokens)).count();
      part.communication = static_cast<double>(ops.all_reduces) * all_reduce(tokens) +
                           static_cast<double>(ops.all_to_alls) * all_to_all(tokens);
    }
    part.elementwise = streaming.time.count() + strided;
    part.unmeasured += strided + (streaming.measured ? 0 : streaming.time.count());
    return part;
  }

  const LinearPart& linear(std::int64_t tokens) const {
    const auto i = static_cast<std::size_t>(tokens);
    if (i >= by_tokens.size()) by_tokens.resize(i + 1);
    if (by_tokens[i].gemm < 0) by_tokens[i] = compute(tokens, tokens, false);
    return by_tokens[i];
  }
  const LinearPart& sampled(std::int64_t rows) const {
    const auto i = static_cast<std::size_t>(rows);
    if (i >= by_rows.size()) by_rows.resize(i + 1);
    if (by_rows[i].gemm < 0) by_rows[i] = compute(rows, rows, true);
    return by_rows[i];
  }

  struct Attention {
    double time = 0;
    double slope = 0;                                        // per step of growth
    double steps = std::numeric_limits<double>::infinity();  // that the slope holds for, beyond the first
    double unmeasured = 0;
    double unmeasured_slope = 0;
  };
  Attention decode_attention(const StepShape& shape, const StepTimeModel::Growth& growth, Seconds gap) const {
    Attention sum;
    if (shape.decode_sequences == 0) return sum;
    for (const AttentionOp& op : ops.attention) {
      const std::int64_t context = op.window > 0 ? shape.decode_windowed_context : shape.decode_context;
      const std::int64_t grows = op.window > 0 ? growth.windowed : growth.context;
      const double spread = op.window > 0 ? 0 : shape.decode_spread;
      const LinearPiece piece =
          kernels.decode_attention(op, shape.decode_sequences, shape.decode_query_tokens, context, spread, gap);
      const double layers =
          static_cast<double>(op.layers) * (options.forward.first_paged_kernel ? kFirstPagedKernel : 1);
      const double time = layers * (piece.at_zero.count() + piece.per_token * static_cast<double>(context));
      sum.time += time;
      sum.slope += layers * piece.per_token * static_cast<double>(grows);
      if (grows > 0)
        sum.steps = std::min(sum.steps, (piece.to - static_cast<double>(context)) / static_cast<double>(grows));
      if (piece.measured) continue;
      sum.unmeasured += time;
      sum.unmeasured_slope += layers * piece.per_token * static_cast<double>(grows);
    }
    return sum;
  }

  double copied(std::int64_t context) const {
    if (context == 0) return 0;
    // Old K and V of every layer read and written once more, in two launches a layer (SEMANTICS 1.2).
    double layers = 0;
    for (const AttentionOp& op : ops.attention) layers += static_cast<double>(op.layers);
    return kernels.elementwise(2.0 * static_cast<double>(context) * options.kv_bytes_per_token).count() +
           2 * layers * hardware.kernel_fixed_time.count();
  }

  double transfers(const StepShape& shape) const {
    double time = 0;
    const auto block = static_cast<double>(options.kv_block_bytes);
    if (shape.block_copies > 0)
      time += kernels.elementwise(2.0 * block * static_cast<double>(shape.block_copies)).count();
    return time + swap_time(shape.swapped_blocks);
  }
  // Per block, K and V of each layer apart (SEMANTICS 9.8).
  double swap_time(std::int64_t blocks) const {
    if (blocks == 0) return 0;
    std::int64_t layers = 0;
    for (const AttentionOp& op : ops.attention) layers += op.layers;
    const HostCopy copy{Bytes{options.kv_block_bytes}, 2 * layers, hardware.copy_latency,
                        options.host_link.value_or(hardware.pcie_bandwidth)};
    return copy.time(blocks).count();
  }

  double host_time(const StepShape& shape, std::int64_t prefill_tokens, std::int64_t sequences) const {
    const HostCost& h = options.host;
    double time = h.per_step.count() + h.per_sequence.count() * static_cast<double>(sequences) +
                  h.per_prefill_token.count() * static_cast<double>(prefill_tokens);
    if (h.eager_launches) {
      double kernels_launched = static_cast<double>(ops.kernels);
      if (shape.copied_context > 0)
        for (const AttentionOp& op : ops.attention) kernels_launched += 2 * static_cast<double>(op.layers);
      time += kernels_launched * hardware.launch_time.count();
    }
    return time;
  }
  // Launches run ahead of the GPU and hide behind it, or it behind them; other host work does so only when scheduling
  // is asynchronous.
  double together(double gpu, double host) const {
    return options.host.eager_launches || options.host.asynchronous ? std::max(gpu, host) : gpu + host;
  }

  // What launching costs the GPU: tables are of kernels in a CUDA graph, which follow each other more closely.
  double apart(const StepShape& shape, std::int64_t tokens) const {
    if (in_graph(tokens)) return 0;
    auto kernels_launched = static_cast<double>(ops.kernels);
    if (shape.decode_sequences > 0 && !shape.prefills.empty())  // attention of decodes and of prompts
      for (const AttentionOp& op : ops.attention) kernels_launched += static_cast<double>(op.layers);
    return kernels_launched * hardware.stream_kernel_gap.count();
  }

  struct Parts {
    StepTime step;
    Attention attention;
    std::int64_t padded_tokens = 0;
    Seconds of_layers, without_fetches;  // parts of step.gpu
    double layer = 0;                    // streamed weights: compute of one layer, seconds
    StreamedTime stream;                 // and the pass with its fetches
  };

  // The draft's passes: prompts once, then one decode pass for each draft token (SEMANTICS 4.4).
  void add_draft(const StepShape& shape, StepTime& s) const {
    const auto add = [&](const StepShape& pass, double times) {
      const StepTime t = draft->parts(pass, {}).step;
      s.gemm += times * t.gemm;
      s.attention += times * t.attention;
      s.elementwise += times * t.elementwise;
      s.communication += times * t.communication;
      s.extrapolated += times * t.extrapolated;
    };
    if (shape.prompt_chunks > 0) {
      StepShape prompts;
      prompts.prefills = shape.prefills.first(shape.prompt_chunks);
      add(prompts, 1);
    }
    if (shape.draft_sequences > 0) {
      StepShape decode;
      decode.decode_sequences = decode.logit_rows = shape.draft_sequences;
      decode.decode_context = decode.decode_windowed_context = shape.draft_context;
      add(decode, static_cast<double>(options.draft_tokens));
    }
  }
  // Waiting for weights. What is computed outside of the layers (head, draft) comes after them.
  void add_fetches(Parts& p) const {
    StepTime& s = p.step;
    const Seconds all = p.without_fetches;
    p.layer = p.of_layers.count() / static_cast<double>(options.zero->layers);
    p.stream = streamed_time(*options.zero, Seconds{p.layer}, all - p.of_layers);
    s.communication += p.stream.time - all;
    s.extrapolated += p.stream.time - all;
  }
  // The model of a step of this shape: steps with prompts may be launched in another way.
  const Impl& of(const StepShape& shape) const { return prefills && !shape.prefills.empty() ? *prefills : *this; }
  Parts parts(const StepShape& shape, const StepTimeModel::Growth& growth) const {
    if (const Impl& other = of(shape); &other != this) return other.parts(shape, growth);
    std::int64_t prefill_tokens = 0, sequences = shape.decode_sequences;
    for (const PrefillChunk& chunk : shape.prefills) {
      prefill_tokens += chunk.new_tokens * chunk.sequences;
      sequences += chunk.sequences;
    }
    const std::int64_t tokens = shape.decode_sequences * shape.decode_query_tokens + prefill_tokens;
    Parts p;
    p.padded_tokens = padded(tokens);
    const LinearPart& layers = linear(p.padded_tokens);
    const LinearPart& head = sampled(shape.logit_rows);
    const Seconds gap = fixed(tokens);
    const double launched_apart = apart(shape, tokens);
    p.attention = decode_attention(shape, growth, gap);
    double prefill = 0, unmeasured = layers.unmeasured + head.unmeasured + p.attention.unmeasured;
    // All chunks of a step are rows of one kernel a layer: it starts once.
    for (const AttentionOp& op : ops.attention) {
      double start = 0, start_unmeasured = 0;
      for (const PrefillChunk& chunk : shape.prefills) {
        const KernelTime t = kernels.prefill_attention(op, chunk.new_tokens, chunk.past_tokens, chunk.sequences, gap);
        const double work = (t.time - t.start).count() * static_cast<double>(op.layers);
        prefill += work;
        if (!t.measured) unmeasured += work;
        if (t.start.count() > start) {
          start = t.start.count();
          start_unmeasured = t.measured ? 0 : start;
        }
      }
      prefill += start * static_cast<double>(op.layers);
      unmeasured += start_unmeasured * static_cast<double>(op.layers);
    }
    StepTime& s = p.step;
    s.gemm = Seconds{layers.gemm + head.gemm};
    s.elementwise = Seconds{layers.elementwise + head.elementwise + launched_apart};
    s.attention = Seconds{p.attention.time + prefill};
    s.cache_copy = Seconds{copied(shape.copied_context) + transfers(shape)};
    s.communication = Seconds{layers.communication};
    s.extrapolated = Seconds{unmeasured + s.cache_copy.count() + s.communication.count()};
    p.of_layers =
        Seconds{layers.gemm + layers.elementwise + launched_apart} + s.attention + s.cache_copy + s.communication;
    if (draft) add_draft(shape, s);
    p.without_fetches = s.gemm + s.elementwise + s.attention + s.cache_copy + s.communication;
    if (options.zero) add_fetches(p);
    s.gpu = s.gemm + s.elementwise + s.attention + s.cache_copy + s.communication;
    s.host = Seconds{host_time(shape, prefill_tokens, sequences)};
    s.host += call(shape);
    s.total = total(shape, s);
    return p;
  }
  Seconds call(const StepShape& shape) const { return shape.prefills.empty() ? Seconds{0} : options.host.per_call; }
  // Nothing runs on the GPU during a call's own time.
  Seconds total(const StepShape& shape, const StepTime& s) const {
    return Seconds{together(s.gpu.count(), (s.host - call(shape)).count())} + call(shape);
  }
};

StepTimeModel::StepTimeModel(const ModelShape& model, const HardwareProfile& hardware, StepTimeOptions options)
    : StepTimeModel(forward_ops(model, options.forward), hardware, options) {
  if (options.forward.style != ExecutionStyle::kCompiled) return;
  StepTimeOptions eager = std::move(options);
  eager.forward.style = ExecutionStyle::kEager;
  eager.host.eager_launches = true;
  eager.host.graph_sizes.clear();
  ForwardOps ops = forward_ops(model, eager.forward);
  impl_->prefills = std::make_unique<Impl>(std::move(ops), hardware, std::move(eager));
}

StepTimeModel::StepTimeModel(ForwardOps ops, const HardwareProfile& hardware, StepTimeOptions options)
    : impl_(std::make_unique<Impl>(std::move(ops), hardware, std::move(options))) {}

StepTimeModel::~StepTimeModel() = default;
StepTimeModel::StepTimeModel(StepTimeModel&&) noexcept = default;

StepTime StepTimeModel::step_time(const StepShape& shape) const {
  return impl_->parts(shape, {}).step;
}

StepTimeModel::Work StepTimeModel::work(const StepShape& shape) const {
  const Impl& impl = impl_->of(shape);
  const Impl::Parts p = impl.parts(shape, {});
  Work w;
  w.all_reduces = impl.ops.all_reduces;
  const double one = impl.all_reduce(p.padded_tokens);
  w.all_reduce_bytes = one > 0 ? static_cast<double>(p.padded_tokens * impl.ops.hidden_bytes_per_token) : 0;
  w.reducing = Seconds{static_cast<double>(w.all_reduces) * one};
  w.swapping = Seconds{impl.swap_time(shape.swapped_blocks)};
  w.compute_of_layers = p.of_layers - w.reducing - w.swapping;
  w.compute_after = p.without_fetches - p.of_layers;
  return w;
}

StepTime StepTimeModel::step_time(const StepShape& shape, Seconds gpu) const {
  const Impl& impl = impl_->of(shape);
  StepTime t = impl.parts(shape, {}).step;
  t.communication += gpu - t.gpu;
  t.extrapolated += gpu - t.gpu;
  t.gpu = gpu;
  t.total = impl.total(shape, t);
  return t;
}

DecodeRun StepTimeModel::decode_run(const StepShape& shape, Growth growth, std::int64_t max_steps) const {
  const Impl::Parts now = impl_->parts(shape, growth);
  const double copy_slope =
      growth.copied == 0
          ? 0
          : impl_->kernels.elementwise(2.0 * static_cast<double>(growth.copied) * impl_->options.kv_bytes_per_token)
                .count();
  double slope = now.attention.slope + copy_slope, fetch_slope = 0;
  const double gpu = now.step.gpu.count(), host = now.step.host.count();
  double most = std::min(static_cast<double>(max_steps), std::floor(now.attention.steps) + 1);
  if (const auto& zero = impl_->options.zero) {
    const double layer_slope = slope / static_cast<double>(zero->layers);
    if (layer_slope > 0) most = std::min(most, std::floor((now.stream.until.count() - now.layer) / layer_slope) + 1);
    fetch_slope = now.stream.per_layer_time * layer_slope - slope;
    slope += fetch_slope;
  }
  // A cache that holds nothing yet is not copied: the copies' launches come with the second step.
  if (shape.copied_context == 0 && growth.copied > 0) most = 1;
  const bool hides = impl_->together(1, 1) == 1;
  const bool host_bound = hides && host > gpu;
  if (hides && slope > 0 && host_bound) {  // the GPU's time grows past the host's at some step
    most = std::min(most, std::floor((host - gpu) / slope) + 1);
  } else if (hides && slope < 0 && !host_bound) {
    most = std::min(most, std::floor((gpu - host) / -slope) + 1);
  }
  DecodeRun run;
  run.steps = std::max<std::int64_t>(1, static_cast<std::int64_t>(most));
  run.first = now.step.total;
  run.slope = Seconds{host_bound ? 0 : slope};
  run.parts = now.step;
  run.attention_slope = Seconds{now.attention.slope};
  run.cache_copy_slope = Seconds{copy_slope};
  run.communication_slope = Seconds{fetch_slope};
  run.extrapolated_slope = Seconds{now.attention.unmeasured_slope + copy_slope + fetch_slope};
  return run;
}

bool StepTimeModel::depends_on_spread() const {
  return impl_->kernels.depends_on_spread();
}

const ForwardOps& StepTimeModel::ops() const {
  return impl_->ops;
}

Evidence StepTimeModel::evidence() const {
  return impl_->kernels.uses_measurements() ? Evidence::kMeasured : impl_->hardware.source.evidence;
}

}  // namespace headroom
