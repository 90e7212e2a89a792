#include "sim/report/metrics.h"

#include <fmt/format.h>

#include <cmath>

#include "sim/output/texts.h"

namespace headroom {
namespace {

using enum MetricUnit;
constexpr auto kLower = Better::kLower, kHigher = Better::kHigher, kNeither = Better::kNeither;

constexpr Metric kMetrics[] = {
    {"requests.submitted", "requests", kCount, kNeither, "requests"},
    {"requests.completed", "completed", kCount, kHigher, "requests"},
    {"requests.rejected", "rejected or out of memory", kCount, kLower, "requests"},
    {"duration_s", "simulated time", kTime, kNeither, "requests"},
    {"throughput.requests_per_s", "requests/s", kNumber, kHigher, "throughput"},
    {"throughput.output_tokens_per_s", "output tokens/s", kNumber, kHigher, "throughput"},
    {"throughput.total_tokens_per_s", "total tokens/s", kNumber, kHigher, "throughput"},
    {"goodput.requests_per_s", "goodput, requests/s", kNumber, kHigher, "throughput"},
    {"goodput.fraction", "within the SLO", kShare, kHigher, "throughput"},
    {"latency.queue_s.p50", "waiting p50", kTime, kLower, "latency"},
    {"latency.queue_s.p99", "waiting p99", kTime, kLower, "latency"},
    {"latency.ttft_s.p50", "first token (TTFT) p50", kTime, kLower, "latency"},
    {"latency.ttft_s.p99", "first token (TTFT) p99", kTime, kLower, "latency"},
    {"latency.tpot_s.p50", "per further token (TPOT) p50", kTime, kLower, "latency"},
    {"latency.tpot_s.p99", "per further token (TPOT) p99", kTime, kLower, "latency"},
    {"latency.itl_s.p99", "between tokens (ITL) p99", kTime, kLower, "latency"},
    {"latency.e2el_s.p50", "whole answer (E2EL) p50", kTime, kLower, "latency"},
    {"latency.e2el_s.p99", "whole answer (E2EL) p99", kTime, kLower, "latency"},
    {"scheduler.mean_batch", "mean batch", kNumber, kNeither, "scheduler"},
    {"scheduler.max_batch", "largest batch", kCount, kNeither, "scheduler"},
    {"scheduler.preemptions", "preemptions", kCount, kLower, "scheduler"},
    {"scheduler.prefix_cache_hit_rate", "prefix cache hits", kShare, kHigher, "scheduler"},
    {"memory.weights_bytes", "weights", kSize, kNeither, "memory of a GPU"},
    {"memory.activation_peak_bytes", "activation peak", kSize, kNeither, "memory of a GPU"},
    {"memory.kv_pool_bytes", "KV pool", kSize, kNeither, "memory of a GPU"},
    {"memory.kv_pool_tokens", "KV pool, tokens", kCount, kNeither, "memory of a GPU"},
    {"memory.waste.token_states", "KV pool holding tokens", kShare, kNeither, "memory of a GPU"},
    {"gpu.busy_fraction", "GPU busy", kShare, kNeither, "cost"},
    {"gpu.energy_j", "energy, J", kNumber, kLower, "cost"},
    {"cost.usd_per_million_output_tokens", "USD per million output tokens", kDollars, kLower, "cost"},
};

}  // namespace

std::span<const Metric> metrics() {
  return kMetrics;
}

const Metric* metric_at(std::string_view path) {
  for (const Metric& m : kMetrics)
    if (m.path == path) return &m;
  return nullptr;
}

std::string text_of(const Metric& metric, double value) {
  if (std::isnan(value)) return "–";
  switch (metric.unit) {
    case kCount:
      return fmt::format("{:.0f}", value);
    case kNumber:
      return number_text(value);
    case kTime:
      return time_text(value);
    case kSize:
      return size_text(Bytes{std::llround(value)});
    case kShare:
      return percent_text(value);
    case kDollars:
      return fmt::format("{:.2f}", value);
  }
  return "";
}

Change change_of(const Metric& metric, double from, double to) {
  if (std::isnan(from) || std::isnan(to)) return {};
  if (from == to) return {"same", 0};
  Change change;
  if (metric.unit == kShare) {
    change.text = fmt::format("{:+.1f} points", 100 * (to - from));
  } else if (from > 0 && to > 0 && (to / from >= 2 || from / to >= 2)) {
    change.text =
        to > from ? fmt::format("{:.3g} times as much", to / from) : fmt::format("{:.3g} times less", from / to);
  } else if (from != 0) {
    change.text = fmt::format("{:+.1f} %", 100 * (to / from - 1));
  } else {
    change.text = "+" + text_of(metric, to);
  }
  if (metric.better != Better::kNeither) {
    change.verdict = (to > from) == (metric.better == Better::kHigher) ? 1 : -1;
    change.text += change.verdict > 0 ? ", better" : ", worse";
  }
  return change;
}

}  // namespace headroom
