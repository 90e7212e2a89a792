// A scenario: model, hardware, engine, workload; what a run of the simulator needs, typed and checked.
//
// These structs know nothing of YAML. load_scenario() in scenario_reader.h fills them and places every error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/hardware.h"
#include "models/memory_plan.h"
#include "models/model_shape.h"
#include "models/step_time.h"
#include "models/zero.h"
#include "sim/memory/kv_allocator.h"
#include "sim/sched/options.h"
#include "sim/workload/workload.h"

namespace headroom {

enum class RouterPolicy { kRoundRobin, kRandom, kLeastOutstanding, kPrefixAffinity };

// How the KV of a prompt gets from the replica that computes it to the one that makes the output (engine/handover.h).
enum class KvTransferMode { kNone, kPull, kPush, kPushLayerwise };

struct ClusterSpec {
  std::int64_t replicas = 1;          // in all
  std::int64_t prefill_replicas = 0;  // of them: the first ones compute prompts, the others outputs; 0: all do both
  std::int64_t decode_replicas = 0;
  std::int64_t tensor_parallel_size = 1;
  std::int64_t pipeline_parallel_size = 1;
  bool enable_expert_parallel = false;  // experts over the ranks of all replicas, whole ones
  std::int64_t nodes = 0;               // machines; 0: as many as the GPUs need
  RouterPolicy router = RouterPolicy::kRoundRobin;
  RouterPolicy decode_router = RouterPolicy::kRoundRobin;  // to decode replicas
  std::optional<NodeProfile> node;  // the machine the GPUs are in; without one, the card's own links hold
  std::string node_file;            // that says so
};

// What training brought and people ask about at inference.
struct TechniqueSpec {
  int zero_stage = 0;  // shards over the replicas, DeepSpeed's data-parallel ranks
  ZeroOffload zero_offload = ZeroOffload::kNone;
  std::optional<std::int64_t> zero_shard_size;  // replicas that share one copy of the weights: all, or 1
  std::int64_t zero_prefetch_layers = 1;
  std::int64_t zero_max_live_parameters = 1'000'000'000;
  double zero_pinned_fraction = 0;  // of each layer's weights, stays on every GPU
  Checkpointing gradient_checkpointing;
  bool autograd = false;
};

// What stands between a client and the engine, one way each: HTTP, (de)tokenisation, the way between processes.
struct ApiServer {
  Seconds request;
  Seconds answer;
};

struct EngineSpec {
  std::string preset;  // a name under configs/engines
  SchedulerOptions scheduler;
  std::string kv_allocator = "paged";  // a name of kv_allocators()
  std::int64_t block_size = 16;        // tokens
  bool enable_prefix_caching = false;
  FitPolicy contiguous_fit = FitPolicy::kFirst;
  double gpu_memory_utilization = 0.9;
  MemoryRule memory_rule = MemoryRule::kVllmV1;
  AttentionKernel attention = AttentionKernel::kFlash;
  bool first_paged_kernel = false;  // of 2023, in decode steps
  ExecutionStyle style = ExecutionStyle::kFused;
  Bytes swap_space;          // host memory for swapped blocks, per GPU
  Bytes kv_offloading_size;  // host memory behind the prefix cache, of all ranks together; 0: none
  KvTransferMode kv_transfer = KvTransferMode::kNone;
  bool cross_layers_blocks = false;  // a block of all layers is one stretch of memory, copied at once
  bool null_block = false;
  bool logits_for_all_tokens = false;  // models without logits_to_keep (SEMANTICS 1.1)
  Bytes cuda_graph_bytes;              // pools of captured graphs, 0 when eager
  HostCost host;
  std::optional<ApiServer> api_server;  // known of the engine; requests pay it that come over HTTP
  // One standard deviation of the logarithm of: the host's time, its launches included; what the engine needs beside
  // weights and KV (activation peak, graphs, context).
  double host_uncertainty = 0;
  double memory_uncertainty = 0;
  std::optional<Bytes> kv_cache_memory;
  std::optional<std::int64_t> num_gpu_blocks_override;
};

// Bounds a user asks for; a request that meets all of them counts as goodput.
struct SloSpec {
  std::optional<Seconds> ttft;
  std::optional<Seconds> tpot;
  std::optional<Seconds> e2el;
};

struct Scenario {
  std::string name;
  std::string file;      // as given on the command line
  std::string sha256;    // of its resolved text and the files it names, hexadecimal
  std::string resolved;  // the resolved scenario as YAML: every key, presets expanded
  std::uint64_t seed = 0;
  std::string model_file, hardware_file;
  ModelShape model;
  HardwareProfile hardware;
  DType dtype = DType::kFloat16;  // weights and activations
  WeightQuantization quantization = WeightQuantization::kNone;
  std::int64_t quantization_group = 128;       // of group-wise int4 formats
  std::optional<DType> quantized_activations;  // of products with quantized weights: int8, fp8
  DType kv_dtype = DType::kFloat16;
  ClusterSpec cluster;
  EngineSpec engine;
  TechniqueSpec techniques;
  std::optional<ModelShape> draft_model;  // of speculation; an EAGLE head: one layer of the model
  std::string draft_file;                 // that says so; empty for a head
  WorkloadSpec workload;
  SloSpec slo;
  MemoryPlan memory;  // of one GPU; follows from all of the above
};

// A scenario file may name variants: the same requests under different settings. Without variants: one, named "".
struct ScenarioFile {
  std::string name;
  std::vector<std::pair<std::string, Scenario>> variants;
};

}  // namespace headroom
