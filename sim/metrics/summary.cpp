#include "sim/metrics/summary.h"

#include <algorithm>

namespace headroom {
namespace {

bool meets(const SloBounds& slo, double ttft, double tpot, double e2el) {
  return (slo.ttft < 0 || ttft <= slo.ttft) && (slo.tpot < 0 || tpot <= slo.tpot) && (slo.e2el < 0 || e2el <= slo.e2el);
}

double ttft_of(const RequestRecord& r) {
  return r.first_token - r.arrival;
}
double e2el_of(const RequestRecord& r) {
  return r.finish - r.arrival;
}
// Output tokens of one answer: samples stream side by side.
std::int32_t own_tokens_of(const RequestRecord& r) {
  return r.output_tokens / r.samples;
}
// A request of one token has no time per further token; for the SLO it counts as zero.
double tpot_of(const RequestRecord& r) {
  const std::int32_t own = own_tokens_of(r);
  return own > 1 ? (e2el_of(r) - ttft_of(r)) / (own - 1) : 0;
}

void count_requests(const RunResult& run, const SloBounds& slo, Summary& s) {
  std::int64_t good = 0, outputs = 0, prompts = 0;
  for (const RequestRecord& r : run.requests) {
    ++s.submitted;
    s.preempted += r.preemptions > 0;
    if (r.status != RequestStatus::kFinished) {
      ++s.rejected;
      continue;
    }
    ++s.completed;
    outputs += r.output_tokens;
    prompts += r.prompt_tokens;
    good += meets(slo, ttft_of(r), tpot_of(r), e2el_of(r));
  }
  // One latency after the other, so that a long run needs room for one.
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(s.completed));
  const auto distribution = [&](auto value_of, std::int32_t least_tokens = 0) {
    values.clear();
    for (const RequestRecord& r : run.requests)
      if (r.status == RequestStatus::kFinished && own_tokens_of(r) >= least_tokens) values.push_back(value_of(r));
    return distribution_of(values);
  };
  s.ttft = distribution(ttft_of);
  s.tpot = distribution(tpot_of, 2);
  s.e2el = distribution(e2el_of);
  s.queue = distribution([](const RequestRecord& r) { return r.scheduled - r.arrival; });
  s.normalized = distribution([](const RequestRecord& r) { return e2el_of(r) / own_tokens_of(r); });
  s.itl = distribution_of(run.gaps);
  if (s.submitted > 0) s.goodput_fraction = static_cast<double>(good) / static_cast<double>(s.submitted);
  if (run.duration <= 0) return;
  s.requests_per_s = static_cast<double>(s.completed) / run.duration;
  s.output_tokens_per_s = static_cast<double>(outputs) / run.duration;
  s.total_tokens_per_s = static_cast<double>(prompts + outputs) / run.duration;
  s.goodput_requests_per_s = static_cast<double>(good) / run.duration;
}

void count_memory(const RunResult& run, Summary& s) {
  SlotSeconds all;
  double external = 0;
  for (const ReplicaResult& r : run.replicas) {
    all.tokens += r.slots.tokens;
    all.reserved += r.slots.reserved;
    all.internal += r.slots.internal;
    all.padding += r.slots.padding;
    all.cached += r.slots.cached;
    all.empty += r.slots.empty;
    external += r.external;
    s.kv_peak = std::max(s.kv_peak, r.kv_peak);
  }
  const double total = all.tokens + all.reserved + all.internal + all.padding + all.cached + all.empty;
  if (total <= 0) {  // no time passed: nothing held anything
    s.waste.free = 1;
    return;
  }
  s.waste = WasteFractions{all.tokens / total,  all.reserved / total, all.internal / total,          external / total,
                           all.padding / total, all.cached / total,   (all.empty - external) / total};
}

PoolSummary summarize_pool(std::span<const ReplicaResult> replicas, double duration) {
  PoolSummary pool;
  double sequence_steps = 0, busy = 0, held = 0, slots = 0;
  for (const ReplicaResult& r : replicas) {
    pool.steps += r.steps;
    pool.max_batch = std::max(pool.max_batch, r.max_batch);
    pool.preemptions += r.preemptions;
    pool.kv_peak = std::max(pool.kv_peak, r.kv_peak);
    sequence_steps += r.sequence_steps;
    busy += r.busy;
    const double in_use = r.slots.tokens + r.slots.reserved + r.slots.internal + r.slots.padding;
    held += in_use;
    slots += in_use + r.slots.cached + r.slots.empty;
  }
  pool.replicas = static_cast<std::int64_t>(replicas.size());
  if (pool.steps > 0) pool.mean_batch = sequence_steps / static_cast<double>(pool.steps);
  if (duration > 0) pool.busy_fraction = std::min(1.0, busy / static_cast<double>(replicas.size()) / duration);
  if (slots > 0) pool.held_fraction = held / slots;
  return pool;
}

void count_pools(const RunResult& run, Summary& s) {
  if (run.prefill_replicas == 0) return;
  const std::span<const ReplicaResult> all(run.replicas);
  s.prefill = summarize_pool(all.first(run.prefill_replicas), run.duration);
  s.decode = summarize_pool(all.subspan(run.prefill_replicas), run.duration);
  std::vector<double> times, waits;
  for (const KvTransfer& t : run.transfers) {
    ++s.transfers.count;
    s.transfers.bytes += t.bytes;
    times.push_back(t.arrived - t.started);
    waits.push_back(t.granted - t.asked);
  }
  s.transfers.time = distribution_of(times);
  s.transfers.waiting = distribution_of(waits);
}

void add(const HostTierResult& part, HostTierResult& sum) {
  sum.loads += part.loads;
  sum.hit_tokens += part.hit_tokens;
  sum.loaded += part.loaded;
  sum.stored += part.stored;
  sum.evicted += part.evicted;
  sum.resident += part.resident;
  sum.loading += part.loading;
  sum.storing += part.storing;
  sum.load_wait += part.load_wait;
  sum.store_lag = std::max(sum.store_lag, part.store_lag);
  sum.recompute += part.recompute;
}

}  // namespace

Summary summarize(const RunResult& run, const HardwareProfile& hardware, const SloBounds& slo) {
  Summary s;
  s.duration = run.duration;
  count_requests(run, slo, s);
  count_memory(run, s);
  count_pools(run, s);
  double sequence_steps = 0, busy = 0, extrapolated = 0;
  std::int64_t hits = 0, queries = 0;
  for (const ReplicaResult& r : run.replicas) {
    s.steps += r.steps;
    s.preemptions += r.preemptions;
    s.max_batch = std::max(s.max_batch, r.max_batch);
    sequence_steps += r.sequence_steps;
    busy += r.busy;
    extrapolated += r.extrapolated;
    add(r.host_tier, s.host_tier);
    hits += r.prefix_hit_tokens;
    queries += r.prefix_query_tokens;
  }
  if (s.steps > 0) s.mean_batch = sequence_steps / static_cast<double>(s.steps);
  if (queries > 0) s.prefix_cache_hit_rate = static_cast<double>(hits) / static_cast<double>(queries);
  if (busy > 0) s.extrapolated_time_fraction = extrapolated / busy;
  const auto replicas = static_cast<double>(std::max<std::size_t>(1, run.replicas.size()));
  if (run.duration > 0) s.busy_fraction = std::min(1.0, busy / replicas / run.duration);
  const auto gpus = static_cast<double>(run.gpus);
  s.energy_joules =
      gpus * run.duration *
      (hardware.idle_power.count() + (hardware.peak_power.count() - hardware.idle_power.count()) * s.busy_fraction);
  s.usd = gpus * hardware.price_per_hour.count() * run.duration / 3600;
  const double millions = s.output_tokens_per_s * run.duration / 1e6;
  if (millions > 0) s.usd_per_million_output_tokens = s.usd / millions;
  return s;
}

}  // namespace headroom
