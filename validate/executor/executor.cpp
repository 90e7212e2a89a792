#include "validate/executor/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "sim/engine/simulation.h"
#include "validate/executor/transformer.h"

namespace headroom {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t longest_sequence(const Workload& workload) {
  std::int64_t prompt = 0, output = 0;
  for (const Request& r : workload.requests) {
    prompt = std::max(prompt, r.prompt_tokens);
    output = std::max(output, r.output_tokens);
  }
  return prompt + output;
}
std::int64_t longest_prompt_of(const Workload& workload) {
  std::int64_t prompt = 0;
  for (const Request& r : workload.requests) prompt = std::max(prompt, r.prompt_tokens);
  return prompt;
}

TransformerOptions transformer_options(const Scenario& s, const Workload& w) {
  TransformerOptions o;
  o.element = s.dtype == DType::kFloat16 ? Element::kFloat16 : Element::kBfloat16;
  const bool paged = s.engine.kv_allocator == "paged";
  o.block_size = paged ? static_cast<std::int32_t>(s.engine.block_size) : 0;
  o.max_sequences =
      std::min<std::int64_t>(s.engine.scheduler.max_num_seqs, static_cast<std::int64_t>(w.requests.size()));
  o.max_length = longest_sequence(w) + longest_prompt_of(w);  // a row of a static batch has pads in front
  const bool whole_batches =
      s.engine.memory_rule == MemoryRule::kHfGenerate || s.engine.memory_rule == MemoryRule::kFasterTransformer;
  o.slots = s.memory.kv_pool_tokens.count();
  // Engines that reserve nothing ahead take what their largest batch needs.
  if (whole_batches) o.slots = std::min(o.slots, round_up(o.max_sequences * o.max_length, s.engine.block_size));
  o.max_rows = whole_batches ? o.max_sequences * longest_prompt_of(w)
                             : std::max(s.engine.scheduler.max_num_batched_tokens, o.max_sequences);
  for (const std::int64_t size : s.engine.host.graph_sizes)
    if (size <= std::max<std::int64_t>(8, round_up(o.max_sequences, 8))) o.graph_sizes.push_back(size);
  return o;
}

// Block tables of its own beside the allocator, which counts blocks but need not know which is whose.
class GpuRunner final : public StepRunner {
 public:
  GpuRunner(const Scenario& scenario, const Workload& workload, double time_limit)
      : workload_(workload),
        options_(transformer_options(scenario, workload)),
        transformer_(scenario.model, options_),
        time_limit_(time_limit),
        sequences_(workload.requests.size()) {
    if (options_.block_size > 0)
      for (std::int64_t b = options_.slots / options_.block_size; b-- > 0;)
        free_.push_back(static_cast<std::int32_t>(b));
  }

  void start_clock() { origin_ = Clock::now(); }

  StepTime run(const Scheduler& scheduler, const KvAllocator& kv, const StepPlan& plan, const StepShape& shape,
               double start) override {
    wait_until(start);
    if (now() > time_limit_)
      throw std::runtime_error(fmt::format("the run had not ended after {} s (--time-limit)", time_limit_));
    release_absent(scheduler);
    decodes_.clear();
    decode_of_.clear();
    chunks_.clear();
    if (plan.decodes) add_decodes(scheduler, kv, plan);
    for (const ScheduledPrefill& p : plan.prefills) add_chunk(scheduler, kv, p);
    const std::vector<std::int32_t>& next = transformer_.step(rows(decodes_), rows(chunks_));
    for (std::size_t i = 0; i < decode_of_.size(); ++i) {
      Sequence& s = sequences_[decode_of_[i]];
      ++s.stored;
      s.tokens.push_back(next[i]);
    }
    for (std::size_t i = 0; i < plan.prefills.size(); ++i) {
      const ScheduledPrefill& p = plan.prefills[i];
      Sequence& s = sequences_[scheduler.batch().at(p.id).request];
      s.stored = p.past_tokens + p.new_tokens;
      if (p.past_tokens > 0) s.stored += s.padding;
      if (p.samples) s.tokens.push_back(next[decode_of_.size() + i]);
    }
    RecordedStep step = record_of(plan, shape);
    step.start = start;
    step.gpu = transformer_.gpu_seconds();
    step.duration = now() - start;
    steps.push_back(step);
    StepTime time;
    time.total = Seconds{step.duration};
    time.gpu = Seconds{step.gpu};
    time.host = time.total - time.gpu;
    return time;
  }

  // The allocator's count of blocks and these tables say the same.
  void booked(const KvAllocator& kv) override {
    if (options_.block_size == 0) return;
    const std::int64_t total = kv.capacity() / kv.unit_tokens();
    const std::int64_t held = options_.slots / options_.block_size - static_cast<std::int64_t>(free_.size());
    if (held != total - kv.available())
      throw std::logic_error(
          fmt::format("block tables hold {} blocks, the allocator says {}", held, total - kv.available()));
  }

  std::vector<RecordedStep> steps;
  const Transformer& transformer() const { return transformer_; }

 private:
  struct Sequence {
    std::vector<std::int32_t> tokens;  // prompt and output so far
    std::vector<std::int32_t> padded;  // of a static batch's prompt: pads and prompt
    std::vector<std::int32_t> blocks;
    std::int64_t first_slot = 0, stored = 0, padding = 0;  // stored: pads included
    bool live = false, seen = false;
  };
  struct Row {  // spans are made when all are known
    std::uint32_t request;
    const std::int32_t* tokens;
    std::size_t count;
    std::int64_t past;
    bool samples;
  };

  double now() const { return std::chrono::duration<double>(Clock::now() - origin_).count(); }
  void wait_until(double time) const {
    // Sleeps overshoot: the last stretch is waited out.
    if (const double left = time - now(); left > 300e-6)
      std::this_thread::sleep_for(std::chrono::duration<double>(left - 200e-6));
    while (now() < time) {
    }
  }

  void release(Sequence& s) {
    free_.insert(free_.end(), s.blocks.rbegin(), s.blocks.rend());
    s.blocks.clear();
    s.stored = 0;
  }
  // Sequences that ended or were preempted since the last step give their blocks back.
  void release_absent(const Scheduler& scheduler) {
    for (const std::uint32_t r : live_) sequences_[r].seen = false;
    const Batch& batch = scheduler.batch();
    for (SequenceId id = batch.first_running(); id != Batch::kNone; id = batch.next_running(id))
      sequences_[batch.at(id).request].seen = true;
    std::erase_if(live_, [&](std::uint32_t r) {
      Sequence& s = sequences_[r];
      if (s.seen) return false;
      release(s);
      s.live = false;
      return true;
    });
  }
  void give_slots(Sequence& s, std::int64_t slots) {
    if (options_.block_size == 0) return;
    while (static_cast<std::int64_t>(s.blocks.size()) * options_.block_size < slots) {
      if (free_.empty()) throw std::logic_error("the scheduler plans more blocks than there are");
      s.blocks.push_back(free_.back());
      free_.pop_back();
    }
  }

  void add_decodes(const Scheduler& scheduler, const KvAllocator& kv, const StepPlan& plan) {
    const Batch& batch = scheduler.batch();
    for (SequenceId id = batch.first_running(); id != Batch::kNone; id = batch.next_running(id)) {
      const auto state = batch.at(id).state;
      if (state != SequenceState::kDecoding && state != SequenceState::kRetired) continue;
      if (std::find(plan.set_aside.begin(), plan.set_aside.end(), id) != plan.set_aside.end()) continue;
      const std::uint32_t request = batch.at(id).request;
      Sequence& s = sequences_[request];
      if (kv.first_slot(id) >= 0) s.first_slot = kv.first_slot(id);
      give_slots(s, s.stored + 1);
      decodes_.push_back(Row{request, &s.tokens.back(), 1, s.stored, true});
      decode_of_.push_back(request);
    }
  }

  void add_chunk(const Scheduler& scheduler, const KvAllocator& kv, const ScheduledPrefill& p) {
    const auto& planned = scheduler.batch().at(p.id);
    Sequence& s = sequences_[planned.request];
    if (!s.live) {
      s.live = true;
      live_.push_back(planned.request);
    }
    if (s.tokens.empty()) {
      const Request& r = workload_.requests[planned.request];
      for (std::int64_t i = 0; i < r.prompt_tokens; ++i)
        s.tokens.push_back(
            static_cast<std::int32_t>((static_cast<std::int64_t>(planned.request) * 7919 + i * 31) % 30'000));
    }
    if (p.past_tokens == 0) release(s);
    if (kv.first_slot(p.id) >= 0) s.first_slot = kv.first_slot(p.id);
    s.padding = planned.padding;
    give_slots(s, s.padding > 0 ? p.new_tokens : p.past_tokens + p.new_tokens);
    const std::int32_t* from = s.tokens.data() + p.past_tokens;
    if (s.padding > 0) {  // static batches: the whole prompt at once, behind its pads
      s.padded.assign(static_cast<std::size_t>(s.padding), -1);
      s.padded.insert(s.padded.end(), s.tokens.begin(), s.tokens.begin() + (p.new_tokens - s.padding));
      from = s.padded.data();
    }
    chunks_.push_back(Row{planned.request, from, static_cast<std::size_t>(p.new_tokens), p.past_tokens, p.samples});
  }

  std::span<const StepRow> rows(const std::vector<Row>& wanted) {
    std::vector<StepRow>& made = &wanted == &decodes_ ? decode_rows_ : chunk_rows_;
    made.clear();
    for (const Row& r : wanted) {
      const Sequence& s = sequences_[r.request];
      made.push_back(StepRow{{r.tokens, r.count},
                             static_cast<std::int32_t>(r.past),
                             static_cast<std::int32_t>(s.padding),
                             s.blocks,
                             s.first_slot,
                             r.samples});
    }
    return made;
  }

  const Workload& workload_;
  TransformerOptions options_;
  Transformer transformer_;
  double time_limit_;
  Clock::time_point origin_;
  std::vector<Sequence> sequences_;  // by request
  std::vector<std::uint32_t> live_;
  std::vector<std::int32_t> free_;
  std::vector<Row> decodes_, chunks_;
  std::vector<std::uint32_t> decode_of_;
  std::vector<StepRow> decode_rows_, chunk_rows_;
};

}  // namespace

std::string why_not_executed(const Scenario& s) {
  if (const char* what = why_not_executed(s.model)) return fmt::format("the model has {}", what);
  const EngineSpec& e = s.engine;
  if (s.cluster.replicas > 1 || s.cluster.tensor_parallel_size > 1 || s.cluster.pipeline_parallel_size > 1)
    return "more than one GPU";
  if (s.quantization != WeightQuantization::kNone || s.kv_dtype != s.dtype) return "quantization";
  if (s.dtype != DType::kFloat16 && s.dtype != DType::kBfloat16) return "a dtype other than float16 and bfloat16";
  if (e.enable_prefix_caching) return "prefix caching; set engine.enable_prefix_caching: false";
  if (e.kv_allocator == "dynamic") return "the growing cache; set engine.kv_allocator";
  if (e.kv_allocator == "paged" && (e.block_size < 8 || !std::has_single_bit(static_cast<std::uint64_t>(e.block_size))))
    return "a block size that is no power of two from 8 on";
  if (e.attention == AttentionKernel::kEager) return "eager attention; set engine.attention: flash";
  if (e.style == ExecutionStyle::kEager) return "PyTorch's kernels; set engine.execution: fused";
  if (!e.host.graph_sizes.empty() && !e.host.graphs_of_decodes_only)
    return "CUDA graphs of steps with prompts; set engine.cudagraph_mode: full-decode-only";
  if (e.host.asynchronous) return "asynchronous scheduling; set engine.async_scheduling: false";
  if (e.scheduler.speculation.num_tokens > 0) return "speculation";
  if (e.scheduler.preemption != PreemptionMode::kRecompute) return "swap; set engine.preemption_mode: recompute";
  if (e.scheduler.static_cache) return "a static cache; set engine.cache_implementation: dynamic";
  if (e.logits_for_all_tokens) return "logits of all tokens";
  return {};
}

ExecutedRun execute(const Scenario& scenario, const Workload& workload, double time_limit) {
  for (const Request& r : workload.requests)
    if (r.samples > 1) throw std::invalid_argument("execute: requests with several samples are not executed");
  ExecutedRun run;
  const DeviceMemory before = device_memory();
  run.memory.context = before.total - before.free;
  GpuRunner runner(scenario, workload, time_limit);
  SimulationOptions options;
  options.runner = &runner;
  runner.start_clock();
  run.result = simulate(scenario, workload, options);
  run.steps = std::move(runner.steps);
  const DeviceMemory after = device_memory();
  run.memory.in_use = after.total - after.free;
  run.memory.weights = runner.transformer().weight_bytes();
  run.memory.kv_pool = runner.transformer().kv_bytes();
  run.memory.activations = runner.transformer().activation_bytes();
  return run;
}

}  // namespace headroom
