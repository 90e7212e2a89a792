// Blocks on their way between a replica's GPUs and its host tier: alone on its links in closed form, else as flows.
#include <algorithm>

#include "sim/engine/moment.h"
#include "sim/engine/replica.h"

namespace headroom {

void Replica::start_load(const KvFetch& fetch, double time) {
  HostTierResult& r = result_.host_tier;
  if (sinks_.shared != nullptr && !sinks_.shared->loads.empty()) {
    shared_loads_.push_back(Copy{fetch.id, fetch.blocks, time, time});
    if (shared_loads_.size() == 1) ship_copy(shared_loads_, sinks_.shared->loads, kLoadTag, time);
  } else {
    const Seconds copying = host_copy_.time(fetch.blocks);
    loads_until_ = std::max(loads_until_, time) + copying.count();
    loads_.push_back(Load{fetch.id, loads_until_});
    r.loading += copying.count();
    r.load_wait += loads_until_ - time;
  }
  // What the engine would do without: compute those tokens, at best alone and with nobody else waiting for it.
  const Sequence& s = scheduler_->batch().at(fetch.id);
  const PrefillChunk chunk{s.computed - fetch.past_tokens, fetch.past_tokens, 1};
  StepShape shape;
  shape.prefills = std::span(&chunk, 1);
  shape.prompt_chunks = 1;
  ++r.loads;
  r.hit_tokens += chunk.new_tokens;
  r.recompute += cost_->step_time(shape).gpu.count();
}

// The next copy in line.
void Replica::ship_copy(std::deque<Copy>& copies, const std::vector<Route>& routes, Tag tag, double time) {
  Copy& copy = copies.front();
  copy.started = time;
  sinks_.traffic->ship(time, index_, tag, routes, block_bytes_ * static_cast<double>(copy.blocks), time);
}

void Replica::arrived(std::uint64_t tag, double time) {
  HostTierResult& r = result_.host_tier;
  if (tag == kStepTag) {
    flows_.arrived(time);
    go_on_with_flows(time);
  } else if (tag == kLoadTag) {
    const Copy copy = shared_loads_.front();
    shared_loads_.pop_front();
    r.loading += time - copy.started;
    r.load_wait += time - copy.asked;
    if (!shared_loads_.empty()) ship_copy(shared_loads_, sinks_.shared->loads, kLoadTag, time);
    fetched(copy.id, time);
  } else {
    const Copy copy = shared_stores_.front();
    shared_stores_.pop_front();
    r.storing += time - copy.started;
    r.store_lag = std::max(r.store_lag, time - copy.asked);
    if (!shared_stores_.empty()) ship_copy(shared_stores_, sinks_.shared->stores, kStoreTag, time);
  }
}

void Replica::end_loads(double time) {
  for (; !loads_.empty() && moment_of(loads_.front().end) <= moment_of(time); loads_.pop_front())
    scheduler_->fetched(loads_.front().id);
}

// Blocks completed in the step that has just ended are copied to the host while the next ones run.
void Replica::book_stores(double time) {
  const HostTierUse use = kv_->host_tier();
  if (use.stored == host_tier_.stored) return;
  if (sinks_.shared != nullptr && !sinks_.shared->stores.empty()) {
    shared_stores_.push_back(Copy{{}, use.stored - host_tier_.stored, time, time});
    if (shared_stores_.size() == 1) ship_copy(shared_stores_, sinks_.shared->stores, kStoreTag, time);
    host_tier_ = use;
    return;
  }
  const Seconds copying = host_copy_.time(use.stored - host_tier_.stored);
  stores_until_ = std::max(stores_until_, time) + copying.count();
  result_.host_tier.storing += copying.count();
  result_.host_tier.store_lag = std::max(result_.host_tier.store_lag, stores_until_ - time);
  host_tier_ = use;
}

}  // namespace headroom
