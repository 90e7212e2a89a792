// From a checked scenario to the inputs of the parts: memory plan, step-time model, allocator.
#pragma once

#include <memory>

#include "models/kernel_time.h"
#include "sim/config/scenario.h"

namespace headroom {

ForwardOptions forward_options(const Scenario& scenario);
// The tables of the profile that step_time_options() will need.
TableUse table_use(const Scenario& scenario);
MemoryPlanInput memory_plan_input(const Scenario& scenario);
StepTimeOptions step_time_options(const Scenario& scenario);
// The allocator over the pool that the memory plan leaves.
std::unique_ptr<KvAllocator> make_kv_allocator(const Scenario& scenario);

// Batch sizes for which the engine captures CUDA graphs (SEMANTICS 2.2.7); empty when it captures none.
std::vector<std::int64_t> cuda_graph_sizes(std::int64_t max_num_seqs, std::int64_t max_num_batched_tokens,
                                           std::int64_t query_tokens);

// The longest prompt the workload's description allows, at most max_model_len: what a static batch must be ready for.
std::int64_t longest_prompt(const Scenario& scenario);

}  // namespace headroom
