// From a checked scenario to the inputs of the parts: memory plan, step-time model, allocator.
#pragma once

#include <memory>

#include "models/host_copy.h"
#include "models/kernel_time.h"
#include "sim/config/scenario.h"
#include "sim/network/platform.h"

namespace headroom {

ForwardOptions forward_options(const Scenario& scenario);
// The tables of the profile that step_time_options() will need.
TableUse table_use(const Scenario& scenario);
MemoryPlanInput memory_plan_input(const Scenario& scenario);
StepTimeOptions step_time_options(const Scenario& scenario);
// The way of hidden states from each pipeline stage to the next, all tensor-parallel ranks together.
std::vector<CollectiveLink> stage_links(const Scenario& scenario);
// Whether a pipeline's batches in flight share one queue and one pool, as vLLM V1's do; else each has its part of both.
bool batches_share_pool(const Scenario& scenario);
// The allocator over the pool that the memory plan leaves, or over the part of one batch in flight.
std::unique_ptr<KvAllocator> make_kv_allocator(const Scenario& scenario);
// Blocks between a GPU and the host tier; of no size where there is none.
HostCopy host_copy(const Scenario& scenario);
// Blocks that vLLM V0 swaps; of no size where it swaps none.
HostCopy swap_copy(const Scenario& scenario);

// The machines the GPUs are in; what their file leaves out is as the card has it. Without a file: one machine that
// holds all of them.
NodeProfile node_of(const Scenario& scenario);
Platform platform_of(const Scenario& scenario);
// GPUs of one replica, tensor-parallel ranks of one stage next to each other.
std::int64_t gpus_per_replica(const Scenario& scenario);
// Ranks that share the experts of one pipeline stage: tensor-parallel ranks of all replicas, as vLLM has it. 1: none
// do.
std::int64_t expert_ranks(const Scenario& scenario);

// Batch sizes for which the engine captures CUDA graphs (SEMANTICS 2.2.7); empty when it captures none.
std::vector<std::int64_t> cuda_graph_sizes(std::int64_t max_num_seqs, std::int64_t max_num_batched_tokens,
                                           std::int64_t query_tokens);

// The longest prompt the workload's description allows, at most max_model_len: what a static batch must be ready for.
std::int64_t longest_prompt(const Scenario& scenario);

}  // namespace headroom
