#include "sim/metrics/limits.h"

#include <algorithm>
#include <vector>

namespace headroom {
namespace {

// Time of each replica's rows, by what its waiting requests wait for.
void add_waits(const RunResult& run, const LimitFacts& facts, Limits& l) {
  std::vector<const TimelineRow*> last(run.replicas.size(), nullptr);
  const auto account = [&](const TimelineRow& row, double until) {
    const double time = until - row.time;
    if (row.waiting == 0 || time <= 0) return;
    if (row.head_blocked)
      l.waits_for_kv += time;
    else if (row.running >= facts.max_num_seqs)
      l.waits_for_batch += time;
    else
      l.waits_for_tokens += time;
  };
  for (const TimelineRow& row : run.timeline) {
    const TimelineRow*& before = last[row.replica];
    if (before != nullptr) account(*before, row.time);
    before = &row;
  }
  for (const TimelineRow* row : last)
    if (row != nullptr) account(*row, run.duration);
}

void add_misses(const RunResult& run, const SloBounds& slo, Limits& l) {
  double served = 0;
  for (const RequestRecord& r : run.requests) {
    if (r.status == RequestStatus::kRejected) continue;
    ++served;
    const bool lost = r.status != RequestStatus::kFinished;
    const int own = r.output_tokens / r.samples;
    const double ttft = r.first_token - r.arrival, e2el = r.finish - r.arrival;
    const bool late = slo.ttft >= 0 && (lost || ttft > slo.ttft);
    l.misses_ttft += late;
    l.late_in_queue += late && (lost || r.scheduled - r.arrival > ttft / 2);
    l.misses_tpot += slo.tpot >= 0 && own > 1 && (e2el - ttft) / (own - 1) > slo.tpot;
    l.misses_e2el += slo.e2el >= 0 && (lost || e2el > slo.e2el);
  }
  if (served == 0) return;
  if (l.misses_ttft > 0) l.late_in_queue /= l.misses_ttft;
  for (double* share : {&l.misses_ttft, &l.misses_tpot, &l.misses_e2el}) *share /= served;
}

}  // namespace

Limits limits_of(const RunResult& run, const LimitFacts& facts) {
  Limits l;
  const double all = run.duration * static_cast<double>(run.replicas.size());
  if (all <= 0) return l;
  double busy = 0, held = 0, slots = 0, preemptions = 0;
  for (const ReplicaResult& r : run.replicas) {
    busy += r.busy;
    l.host += r.host;
    l.communication += r.communication;
    held += r.slots.tokens + r.slots.reserved + r.slots.internal + r.slots.padding;
    slots += r.slots.tokens + r.slots.reserved + r.slots.internal + r.slots.padding + r.slots.cached + r.slots.empty;
    preemptions += static_cast<double>(r.preemptions);
  }
  double stepping = 0, beyond_ridge = 0;
  for (const TraceSpan& span : run.trace) {
    stepping += span.duration;
    if (span.decodes + span.prefill_tokens >= facts.ridge_tokens) beyond_ridge += span.duration;
  }
  const double kernels = busy - l.communication;
  l.compute = stepping > 0 ? kernels * beyond_ridge / stepping : 0;
  l.bandwidth = kernels - l.compute;
  l.idle = std::max(0.0, all - busy - l.host);
  add_waits(run, facts, l);
  const double total = l.compute + l.bandwidth + l.communication + l.host + l.idle;
  for (double* share : {&l.compute, &l.bandwidth, &l.communication, &l.host, &l.idle}) *share /= total;
  for (double* share : {&l.waits_for_kv, &l.waits_for_batch, &l.waits_for_tokens}) *share /= all;
  if (slots > 0) l.kv_used = held / slots;
  if (!run.requests.empty()) l.preemptions_per_request = preemptions / static_cast<double>(run.requests.size());
  add_misses(run, facts.slo, l);
  return l;
}

std::string_view binding(const Limits& l) {
  // Requests come too late because they wait: for room, for a place in the batch, or for the GPU; those that hardly
  // ever wait, because their own prompts take that long to compute. Tokens come too slowly because steps are long.
  constexpr double kHardly = 0.01;
  if (std::max(l.misses_ttft, l.misses_e2el) > l.misses_tpot) {
    const double most = std::max({l.waits_for_kv, l.waits_for_batch, l.waits_for_tokens});
    if (most < kHardly && l.misses_ttft >= l.misses_e2el && l.late_in_queue < 0.5) return "compute";
    if (most > 0 && most == l.waits_for_kv) return "KV memory";
    if (most > 0 && most == l.waits_for_batch) return "batch limit";
  }
  const std::pair<double, std::string_view> parts[] = {
      {l.compute, "compute"}, {l.bandwidth, "bandwidth"}, {l.host, "host"}, {l.communication, "communication"}};
  return std::max_element(std::begin(parts), std::end(parts))->second;
}

}  // namespace headroom
