#include "sim/engine/handover.h"

#include <algorithm>
#include <utility>

#include "sim/config/scenario_derive.h"
#include "sim/engine/moment.h"

namespace headroom {

Handover::Handover(const Scenario& s, const Workload& workload, Replicas& replicas,
                   std::vector<std::int64_t>& outstanding, const Platform& platform, Traffic& traffic)
    : workload_(workload),
      replicas_(replicas),
      outstanding_(outstanding),
      mode_(s.engine.kv_transfer),
      sources_(static_cast<std::size_t>(s.cluster.prefill_replicas)),
      block_tokens_(s.engine.block_size),
      layers_(s.model.num_layers),
      block_(s.memory.kv_per_token * Tokens{s.engine.block_size}),
      prefill_router_(s.cluster.router, sources_, s.seed),
      decode_router_(s.cluster.decode_router, static_cast<std::size_t>(s.cluster.decode_replicas), s.seed,
                     "decode router"),
      platform_(platform),
      traffic_(traffic) {
  for (std::size_t i = 0; i < replicas.size(); ++i)
    gpus_.push_back(platform_.gpus_of(s.cluster.tensor_parallel_size, static_cast<std::int64_t>(i)));
}

std::int64_t Handover::blocks_of(std::uint32_t request) const {
  return ceil_div(workload_.requests[request].prompt_tokens, block_tokens_);
}

std::size_t Handover::target_of(std::uint32_t request) {
  const Request& r = workload_.requests[request];
  return sources_ + decode_router_.choose(r, workload_.content(r), std::span(outstanding_).subspan(sources_));
}

// client -> routers -> prefill replica, or decode replica first.
void Handover::arrive(std::uint32_t request, double time, std::vector<std::size_t>& touched) {
  const Request& r = workload_.requests[request];
  const std::size_t source = prefill_router_.choose(r, workload_.content(r), std::span(outstanding_).first(sources_));
  Passage& p = passages_[request];
  p.record.request = r.id;
  p.record.source = static_cast<std::uint32_t>(source);
  const bool goes_on = r.output_tokens > 1 && replicas_[source]->can_ever_run(request);
  if (!goes_on || mode_ == KvTransferMode::kPull) return compute(request, time, touched);
  reserve(request, time, touched);
}

// router -> decode replica: take blocks for this request when you have them.
void Handover::reserve(std::uint32_t request, double time, std::vector<std::size_t>& touched) {
  const std::size_t target = target_of(request);
  passages_[request].record.target = static_cast<std::uint32_t>(target);
  passages_[request].record.asked = time;
  replicas_[target]->advance_before(time);
  replicas_[target]->submit_computed(request, time);
  ++outstanding_[target];
  touched.push_back(target);
}

// router -> prefill replica: compute this prompt.
void Handover::compute(std::uint32_t request, double time, std::vector<std::size_t>& touched) {
  const std::size_t source = passages_[request].record.source;
  replicas_[source]->advance_before(time);
  replicas_[source]->submit(request, time);
  ++outstanding_[source];
  touched.push_back(source);
}

void Handover::collect(std::size_t index, double time, std::vector<std::size_t>& touched) {
  Replica& replica = *replicas_[index];
  // decode replica -> prefill replica: I have blocks; compute (push) or send (pull).
  for (const KvFetch& fetch : std::exchange(replica.fetches, {})) {
    Passage& p = passages_[fetch.request];
    p.at_target = fetch.id;
    p.past_blocks = p.offered_blocks = fetch.past_tokens / block_tokens_;
    p.record.granted = time;
    if (mode_ == KvTransferMode::kPull) {
      offer(p, blocks_of(fetch.request), time, time);
      send_next(fetch.request, time, touched);
    } else {
      compute(fetch.request, time, touched);
    }
  }
  // prefill replica: these layers will be computed in these steps; what ends with its first token stays.
  for (const Replica::PromptStep& step : std::exchange(replica.prompt_steps, {})) {
    const Request& r = workload_.requests[step.request];
    if (mode_ != KvTransferMode::kPushLayerwise || r.output_tokens == 1) continue;
    const bool whole = step.tokens_after == r.prompt_tokens;
    offer(passages_[step.request], whole ? blocks_of(step.request) : step.tokens_after / block_tokens_, step.start,
          step.end);
    send_next(step.request, time, touched);
  }
  // prefill replica -> decode replica: the prompt is computed.
  for (const SampledPrefill& sent : std::exchange(replica.sent, {})) {
    Passage& p = passages_[sent.request];
    p.at_source = sent.id;
    p.computed = true;
    --outstanding_[index];
    if (mode_ == KvTransferMode::kPull) {
      reserve(sent.request, time, touched);
    } else {
      offer(p, blocks_of(sent.request), time, time);
      send_next(sent.request, time, touched);
    }
  }
  for (const Replica::Ended& ended : replica.ended) passages_.erase(ended.request);
}

// Blocks up to `blocks` of the prompt are computed between `from` and `until`, layer after layer.
void Handover::offer(Passage& p, std::int64_t blocks, double from, double until) {
  const std::int64_t fresh = std::max<std::int64_t>(0, blocks - p.offered_blocks);
  p.offered_blocks += fresh;
  const Bytes bytes = block_ * fresh;
  const Bytes last = from < until ? bytes / layers_ : bytes;
  if (bytes > last) p.pieces.push_back({from + (until - from) / static_cast<double>(layers_), bytes - last});
  if (last.count() > 0) p.pieces.push_back({until, last});
  p.record.bytes += bytes * static_cast<std::int64_t>(gpus_[p.record.source].size());
}

// The next piece starts when it is there and the one before it has arrived. When nothing is left, the request can go
// on; one of which nothing has to move needs a word all the same.
void Handover::send_next(std::uint32_t request, double time, std::vector<std::size_t>& touched) {
  Passage& p = passages_[request];
  if (p.moving) return;
  if (p.pieces.empty() && p.computed && p.record.started < 0) p.pieces.push_back({time, Bytes{0}});
  if (p.pieces.empty()) {
    if (p.computed) arrived(request, time, touched);
    return;
  }
  const Piece piece = p.pieces.front();
  if (moment_of(piece.available) > moment_of(time)) return alarms_.push({piece.available, request});
  p.pieces.pop_front();
  if (p.record.started < 0) p.record.started = time;
  const std::vector<std::int64_t>&from = gpus_[p.record.source], &to = gpus_[p.record.target];
  p.moving = true;
  std::vector<Route> routes;
  for (std::size_t rank = 0; rank < from.size(); ++rank)
    routes.push_back(platform_.route(platform_.gpu(from[rank]), platform_.gpu(to[rank])));
  traffic_.ship(time, kOwner, request, routes, static_cast<double>(piece.bytes.count()), time);
}

void Handover::arrived_piece(std::uint32_t request, double time, std::vector<std::size_t>& touched) {
  passages_[request].moving = false;
  send_next(request, time, touched);
}

// Its KV is where it will be used: decode there, forget it here.
void Handover::arrived(std::uint32_t request, double time, std::vector<std::size_t>& touched) {
  Passage& p = passages_[request];
  p.record.arrived = time;
  transfers_.push_back(p.record);
  replicas_[p.record.source]->release(p.at_source, time);
  replicas_[p.record.target]->fetched(p.at_target, time);
  touched.push_back(p.record.source);
  touched.push_back(p.record.target);
}

void Handover::advance(double time, std::vector<std::size_t>& touched) {
  while (!alarms_.empty() && moment_of(alarms_.top().time) <= moment_of(time)) {
    const std::uint32_t request = alarms_.top().request;
    alarms_.pop();
    if (passages_.contains(request)) send_next(request, time, touched);
  }
}

}  // namespace headroom
