// Random scenarios under every engine preset and its switches, in and out of memory pressure.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "sim/config/scenario_reader.h"
#include "sim/engine/simulation.h"
#include "sim/workload/random.h"

namespace headroom {

struct Case {
  std::string preset;
  std::vector<std::string> extra;
};

inline const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"vllm-v1-2025", {}},
      {"vllm-v1-2025", {"engine.enable_prefix_caching=false"}},
      {"vllm-v1-2025", {"engine.long_prefill_token_threshold=32"}},
      {"vllm-v1-2025", {"engine.kv_allocator=contiguous-pow2"}},
      {"vllm-v1-2026", {}},
      {"vllm-v1-2026", {"workload.ignore_eos=true", "engine.watermark=0.05"}},
      {"vllm-v1-2025",
       {"engine.speculative_config={method: ngram, num_speculative_tokens: 3, acceptance_rate: 0.6, found_fraction: "
        "0.7}"}},
      {"vllm-v1-2026", {"engine.speculative_config={method: eagle, num_speculative_tokens: 2, acceptance_rate: 0.6}"}},
      {"vllm-v1-2025",
       {"engine.speculative_config={method: draft-model, model: " HEADROOM_SOURCE_DIR
        "/tests/support/tiny.yaml, num_speculative_tokens: 4, acceptance_rate: 0.8}"}},
      {"vllm-v1-2026", {"workload.client=http", "workload.sampling=top-p"}},
      {"vllm-v0", {}},
      {"vllm-v0", {"engine.enable_prefix_caching=true"}},
      {"vllm-v0", {"engine.preemption_mode=swap"}},
      {"vllm-v0", {"workload.samples=3"}},
      {"vllm-v1-2025", {"workload.samples=2"}},
      {"sarathi", {"engine.chunk_size=64"}},
      {"orca", {}},
      {"orca", {"engine.kv_allocator=contiguous-exact", "engine.contiguous_fit=best"}},
      {"orca", {"engine.kv_allocator=contiguous-pow2"}},
      {"orca", {"engine.kv_allocator=paged"}},
      {"hf-generate", {}},
      {"hf-generate", {"engine.cache_implementation=static"}},
      {"fastertransformer", {}},
      {"hf-continuous", {}},
      {"hf-continuous", {"engine.policy=prefill-first", "engine.block_size=16"}},
      {"hf-continuous-2025", {}},
      {"vllm-v1-2025", {"engine.kv_offloading_size=1 MiB"}},
      {"vllm-v1-2025", {"engine.kv_offloading_size=200 MiB", "workload.samples=2"}},
      {"vllm-v1-2026", {"engine.kv_offloading_size=20 MiB", "engine.async_scheduling=true"}},
      {"disaggregated", {"cluster.prefill_replicas=1", "cluster.decode_replicas=2"}},
      {"disaggregated", {"cluster.prefill_replicas=2", "cluster.decode_replicas=1", "engine.kv_transfer=push"}},
      {"disaggregated",
       {"cluster.prefill_replicas=1", "cluster.decode_replicas=2", "engine.kv_transfer=push-layerwise",
        std::string("cluster.node=" HEADROOM_SOURCE_DIR) + "/tests/support/two-machines.yaml",
        "engine.max_num_batched_tokens=64"}},
      {"disaggregated",
       {"cluster.prefill_replicas=2", "cluster.decode_replicas=1", "engine.async_scheduling=false",
        "engine.kv_offloading_size=1 MiB", "cluster.decode_router=least-outstanding"}},
      {"vllm-v1-2026", {"techniques={zero_stage: 3, zero_offload: cpu}"}},
      {"hf-generate", {"techniques={zero_stage: 3, zero_offload: cpu, zero_prefetch_layers: 2}"}},
      // Replicas that slow each other on links.
      {"vllm-v0",
       {"engine.preemption_mode=swap", "cluster.replicas=2",
        std::string("cluster.node=" HEADROOM_SOURCE_DIR) + "/tests/support/paired-machine.yaml"}},
      {"vllm-v1-2025",
       {"engine.kv_offloading_size=1 MiB", "cluster.replicas=2",
        std::string("cluster.node=" HEADROOM_SOURCE_DIR) + "/tests/support/paired-machine.yaml"}},
      {"vllm-v1-2026",
       {"cluster.replicas=2", "cluster.tensor_parallel_size=4",
        std::string("cluster.node=" HEADROOM_SOURCE_DIR) + "/tests/support/uneven-machine.yaml"}},
      {"hf-generate",
       {"techniques={zero_stage: 3, zero_offload: cpu, zero_shard_size: 1, zero_prefetch_layers: 2}",
        "cluster.replicas=2", std::string("cluster.node=" HEADROOM_SOURCE_DIR) + "/tests/support/paired-machine.yaml"}},
  };
  return all;
}

inline bool static_batch(const Case& c) {
  return c.preset == "hf-generate" || c.preset == "fastertransformer";
}

// Settings that depend on the seed: load, lengths, window, router, pool.
inline std::vector<std::string> random_settings(const Case& c, std::uint64_t seed) {
  Random random(seed, "settings");
  const auto pick = [&](std::initializer_list<const char*> words) {
    return std::string(words.begin()[random.below(words.size())]);
  };
  std::vector<std::string> s = {
      "engine.preset=" + c.preset,
      "hardware=" HEADROOM_SOURCE_DIR "/tests/support/" + pick({"card.yaml", "slow.yaml", "slow.yaml"}),
      "model=" HEADROOM_SOURCE_DIR "/tests/support/" + pick({"tiny.yaml", "windowed.yaml"}),
      "engine.max_num_seqs=" + pick({"1", "3", "16", "64"}),
      "engine.max_model_len=" + pick({"600", "1024"}),
      "workload.requests=" + pick({"20", "80"})};
  s.push_back(
      "workload.arrivals=" +
      pick({"{process: poisson, rate: 30/s}", "{process: batch}", "{process: gamma, rate: 10/s, burstiness: 0.3}",
            "{process: closed-loop, users: 5, think_time: 10 ms, think_distribution: exponential}",
            "{process: on-off, rate: 100/s, on_time: 100 ms, off_time: 500 ms}"}));
  if (random.uniform() < 0.5 && c.preset != "orca")
    s.push_back("workload.shared_prefix={tokens: " + pick({"16", "50", "100"}) + ", count: 3, fraction: 0.7}");
  if (random.uniform() < 0.3) {
    s.push_back("cluster.replicas=3");
    s.push_back("cluster.router=" + pick({"round-robin", "random", "least-outstanding", "prefix-affinity"}));
  }
  const bool has_pool = !static_batch(c);
  if (has_pool) {
    // 640 to 6400 slots: under pressure, or not; a block of the 2026 Hugging Face rules has 256 slots.
    const std::string slots = pick({"1", "2", "10"});
    const bool paged = std::none_of(c.extra.begin(), c.extra.end(),
                                    [](const std::string& e) { return e.find("contiguous") != std::string::npos; }) &&
                       c.preset != "orca";
    const bool paged_orca = std::find(c.extra.begin(), c.extra.end(), "engine.kv_allocator=paged") != c.extra.end();
    std::int64_t block = paged || paged_orca ? 16 : 1;
    if (c.preset == "hf-continuous" && c.extra.empty()) block = 256;
    if (c.preset == "hf-continuous-2025") block = 32;
    s.push_back("engine.num_gpu_blocks_override=" + std::to_string(1 + std::stoll(slots) * 1280 / block));
  }
  if (c.preset.starts_with("vllm") && !c.preset.starts_with("vllm-v0"))
    s.push_back("engine.max_num_batched_tokens=" + pick({"64", "256", "2048"}));
  s.insert(s.end(), c.extra.begin(), c.extra.end());
  return s;
}

struct Loaded {
  Scenario scenario;
  Workload workload;
};
inline Loaded load(const Case& c, std::uint64_t seed) {
  LoadOptions options;
  options.overrides = random_settings(c, seed);
  options.seed = seed;
  ScenarioFile file = load_scenario(HEADROOM_SOURCE_DIR "/tests/support/base.yaml", options);
  Loaded l{file.variants.front().second, {}};
  l.workload = workload_of(l.scenario);
  return l;
}

}  // namespace headroom
