// Switches of the engine schedulers. Presets of configs/engines/ set them; a version of an engine is a set of
// switches, not a copy of its code.
#pragma once

#include <cstdint>
#include <string>

namespace headroom {

enum class PreemptionMode { kRecompute, kSwap, kAuto };  // auto: V0's rule, swap when a request has samples
// Of disaggregated serving: an instance that computes prompts, or one that goes on from KV it is sent.
enum class Role { kBoth, kPrefill, kDecode };
enum class ContinuousRules { k2025, k2026 };  // HF continuous batching
enum class ContinuousPolicy { kFifo, kPrefillFirst };

// Who proposes: the prompt itself (free, often nothing to propose), a smaller model, or a head on the model's features.
enum class DraftMethod { kNgram, kDraftModel, kEagle };

struct Speculation {
  DraftMethod method = DraftMethod::kNgram;
  std::int64_t num_tokens = 0;  // drafts per step; 0: off
  // Slots kept for drafts beyond a step's tokens: vLLM's lookahead, none for n-grams.
  std::int64_t lookahead() const { return method == DraftMethod::kNgram ? 0 : num_tokens; }
  double acceptance_rate = 0;  // chance that a draft is accepted, given all before it were
  double found_fraction = 1;   // n-gram: share of steps in which a draft is found
};

struct SchedulerOptions {
  std::string scheduler = "vllm-v1";  // a name of sched/schedulers.cpp
  std::int64_t max_num_seqs = 256;
  std::int64_t max_num_batched_tokens = 2048;
  std::int64_t max_model_len = 0;  // tokens of one request, prompt and output
  bool enable_chunked_prefill = true;
  std::int64_t long_prefill_token_threshold = 0;
  double watermark = 0;              // fraction of the pool kept free at admission
  bool reserve_full_prompt = false;  // vLLM's scheduler_reserve_full_isl: a test, nothing is reserved
  PreemptionMode preemption = PreemptionMode::kRecompute;
  std::int64_t chunk_size = 512;  // Sarathi
  ContinuousRules continuous_rules = ContinuousRules::k2026;
  ContinuousPolicy continuous_policy = ContinuousPolicy::kFifo;
  double safety_margin = 0.2;  // HF continuous 2025
  bool static_cache = false;   // static batches: attention reads the whole reserved length
  bool late_stop = false;      // async scheduling: an end is known one step late (SEMANTICS 2.2.6)
  bool plans_ahead = false;    // async scheduling: a step is planned while the one before it runs
  Speculation speculation;
  std::int64_t batches_in_flight = 1;  // plans that may be under way at once (V1 on a pipeline)
  Role role = Role::kBoth;
  std::uint64_t seed = 0;     // of the draws of speculation
  bool step_by_step = false;  // never run ahead
};

}  // namespace headroom
