// The GPUs of one replica as a pipeline of stages, through which its batches in flight go one behind the other.
//
// vLLM keeps as many batches in flight as there are stages. V1 plans each from one running list and one pool, of
// whoever is not in another batch (SharedBatches); in V0, as in all others here, each batch is a virtual engine with
// its share of queue and pool, and a request stays in its batch. A stage works on one batch at a time, first come first
// served; between stages hidden states move over the links.
//
// Lanes are planned step by step: how long a step takes depends on where the other batches are.
#pragma once

#include <cstdint>
#include <vector>

#include "models/step_time.h"
#include "sim/config/scenario.h"

namespace headroom {

class Pipeline {
 public:
  // `stages` outlive it; they are shared by all replicas.
  Pipeline(const std::vector<StepTimeModel>& stages, const std::vector<CollectiveLink>& sends)
      : stages_(&stages), sends_(&sends), free_at_(stages.size(), 0) {}

  // A batch enters at `start`, not before any that entered earlier. The result's total runs until its tokens are there:
  // stages, ways between them, and waiting for stages that are busy.
  StepTime pass(double start, const StepShape& shape);

  double active() const { return active_; }      // seconds in which some batch was under way
  double occupied() const { return occupied_; }  // seconds that stages worked, summed over stages
  double sending() const { return sending_; }    // seconds on the way between stages, summed over batches
  double sent() const { return sent_; }          // bytes, of all tensor-parallel ranks together

 private:
  const std::vector<StepTimeModel>* stages_;
  const std::vector<CollectiveLink>* sends_;  // of hidden states, stage i to i + 1
  std::vector<double> free_at_;
  double active_ = 0, occupied_ = 0, covered_ = 0, sending_ = 0, sent_ = 0;
};

// What a pipeline's stages cost, from the scenario.
std::vector<StepTimeModel> stages_of(const Scenario& scenario);

}  // namespace headroom
