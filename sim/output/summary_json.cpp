#include "sim/output/summary_json.h"

#include <sys/resource.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

Json object(const Distribution& d) {
  return {{"mean", d.mean}, {"p50", d.p50}, {"p90", d.p90}, {"p95", d.p95}, {"p99", d.p99}, {"max", d.max}};
}

Json object(const MemoryPlan& plan) {
  Json j{{"gpu_bytes", plan.gpu.count()},
         {"weights_bytes", plan.weights.count()},
         {"activation_peak_bytes", plan.activation_peak.count()},
         {"context_bytes", plan.context.count()},
         {"other_bytes", plan.other.count()},
         {"unused_bytes", plan.unused.count()},
         {"kv_pool_bytes", plan.kv_pool.count()},
         {"kv_pool_tokens", plan.kv_pool_tokens.count()},
         {"num_gpu_blocks", plan.num_gpu_blocks.count()}};
  // Parts of weights and of the activation peak, where a technique brings them.
  if (plan.gathered_weights.count() > 0) j["gathered_weights_bytes"] = plan.gathered_weights.count();
  if (plan.kept_by_autograd.count() > 0) j["kept_by_autograd_bytes"] = plan.kept_by_autograd.count();
  return j;
}

std::int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

Json time_breakdown(const RunResult& run) {
  double gemm = 0, attention = 0, elementwise = 0, copy = 0, communication = 0, host = 0;
  for (const ReplicaResult& r : run.replicas) {
    gemm += r.gemm;
    attention += r.attention;
    elementwise += r.elementwise;
    copy += r.cache_copy;
    communication += r.communication;
    host += r.host;
  }
  return {{"gemm_s", gemm},       {"attention_s", attention},         {"elementwise_s", elementwise},
          {"cache_copy_s", copy}, {"communication_s", communication}, {"host_s", host}};
}

Json object(const PoolSummary& p) {
  return {{"replicas", p.replicas},
          {"steps", p.steps},
          {"mean_batch", p.mean_batch},
          {"max_batch", p.max_batch},
          {"preemptions", p.preemptions},
          {"busy_fraction", p.busy_fraction},
          {"kv_held_fraction", p.held_fraction},
          {"kv_peak_bytes", p.kv_peak.count()}};
}

// Bytes of all GPUs of all replicas.
Json object(const HostTierResult& h, const Scenario& s) {
  const auto all = [&](Bytes of_one) { return of_one.count() * s.cluster.tensor_parallel_size; };
  return {{"size_bytes", s.engine.kv_offloading_size.count() * s.cluster.replicas},
          {"loads", h.loads},
          {"hit_tokens", h.hit_tokens},
          {"loaded_bytes", all(h.loaded)},
          {"stored_bytes", all(h.stored)},
          {"evicted_bytes", all(h.evicted)},
          {"resident_bytes", all(h.resident)},
          {"loading_s", h.loading},
          {"storing_s", h.storing},
          {"load_wait_s", h.load_wait},
          {"longest_store_lag_s", h.store_lag},
          {"recompute_s", h.recompute},
          {"gained_s", h.recompute - h.load_wait}};
}

}  // namespace

std::string_view provenance_of(const RunResult& run, const Summary& summary) {
  switch (run.evidence) {
    case Evidence::kMeasured:
      return summary.extrapolated_time_fraction > 0 ? "mixed" : "measured";
    case Evidence::kFitted:
      return "fitted";
    case Evidence::kDatasheet:
      return "datasheet";
  }
  return "datasheet";
}

std::string summary_json(const Scenario& s, const RunResult& run, const Summary& m, const std::string& version,
                         const Intervals& intervals) {
  Json j;
  j["scenario"] = {{"name", s.name}, {"sha256", s.sha256}};
  j["seed"] = s.seed;
  j["duration_s"] = m.duration;
  j["requests"] = {
      {"submitted", m.submitted}, {"completed", m.completed}, {"rejected", m.rejected}, {"preempted", m.preempted}};
  j["throughput"] = {{"requests_per_s", m.requests_per_s},
                     {"output_tokens_per_s", m.output_tokens_per_s},
                     {"total_tokens_per_s", m.total_tokens_per_s}};
  j["latency"] = {{"ttft_s", object(m.ttft)},   {"tpot_s", object(m.tpot)},
                  {"itl_s", object(m.itl)},     {"e2el_s", object(m.e2el)},
                  {"queue_s", object(m.queue)}, {"normalized_s_per_token", object(m.normalized)}};
  j["goodput"] = {{"requests_per_s", m.goodput_requests_per_s}, {"fraction", m.goodput_fraction}};
  j["scheduler"] = {{"steps", m.steps},
                    {"preemptions", m.preemptions},
                    {"mean_batch", m.mean_batch},
                    {"max_batch", m.max_batch},
                    {"prefix_cache_hit_rate", m.prefix_cache_hit_rate}};
  Json memory = object(run.memory);
  memory["kv_peak_bytes"] = m.kv_peak.count();
  memory["waste"] = {{"token_states", m.waste.token_states},
                     {"reservation", m.waste.reservation},
                     {"internal", m.waste.internal},
                     {"external", m.waste.external},
                     {"padding", m.waste.padding},
                     {"cached", m.waste.cached},
                     {"free", m.waste.free}};
  j["memory"] = memory;
  if (m.prefill) {
    Json& d = j["disaggregation"];
    d = {{"prefill", object(*m.prefill)},
         {"decode", object(*m.decode)},
         {"transfers",
          {{"count", m.transfers.count},
           {"bytes", m.transfers.bytes.count()},
           {"time_s", object(m.transfers.time)},
           {"waiting_for_blocks_s", object(m.transfers.waiting)}}}};
  }
  Json& links = m.prefill ? j["disaggregation"] : j;
  for (const LinkUse& link : run.links)
    if (link.bytes > 0)
      links["links"][link.name] = {{"bytes", std::llround(link.bytes)},
                                   {"busy_fraction", m.duration > 0 ? link.bytes / link.bandwidth / m.duration : 0}};
  if (s.engine.kv_offloading_size.count() > 0) j["kv_offload"] = object(m.host_tier, s);
  j["time_breakdown"] = time_breakdown(run);
  j["gpu"] = {{"busy_fraction", m.busy_fraction}, {"energy_j", m.energy_joules}};
  if (run.pipeline_active > 0) {
    j["gpu"]["pipeline_bubble_fraction"] = 1 - run.pipeline_occupied / run.pipeline_active;
    j["gpu"]["pipeline_send_s"] = run.pipeline_sending;
    j["gpu"]["pipeline_sent_bytes"] = std::llround(run.pipeline_sent);
  }
  j["cost"] = {{"usd", m.usd}, {"usd_per_million_output_tokens", m.usd_per_million_output_tokens}};
  j["prediction"] = {{"hardware", s.hardware.name},
                     {"provenance", provenance_of(run, m)},
                     {"extrapolated_time_fraction", m.extrapolated_time_fraction}};
  if (!intervals.empty()) {
    Json& interval = j["prediction"]["interval"];
    interval["level"] = kIntervalLevel;
    for (const auto& [name, bounds] : intervals) interval[std::string(name)] = {bounds.low, bounds.high};
  }
  j["simulator"] = {{"version", version},
                    {"events", run.events},
                    {"wall_s", run.wall},
                    {"requests_per_wall_s", run.wall > 0 ? static_cast<double>(m.submitted) / run.wall : 0},
                    {"peak_rss_bytes", peak_resident_bytes()}};
  return j.dump(2) + "\n";
}

std::string memory_json(const Scenario& s, const MemoryPlan& plan, double mean_tokens) {
  Json j;
  j["scenario"] = {{"name", s.name}, {"sha256", s.sha256}};
  j["gpus"] = s.cluster.replicas * s.cluster.tensor_parallel_size * s.cluster.pipeline_parallel_size;
  j["memory"] = object(plan);
  j["memory"]["kv_bytes_per_token"] = plan.kv_per_token.count();
  j["max_model_len"] = s.engine.scheduler.max_model_len;
  const auto tokens = static_cast<double>(plan.kv_pool_tokens.count());
  j["requests_of_max_model_len"] = tokens / static_cast<double>(s.engine.scheduler.max_model_len);
  if (mean_tokens > 0) {
    j["mean_request_tokens"] = mean_tokens;
    j["requests_of_mean_length"] = tokens / mean_tokens;
  }
  return j.dump(2) + "\n";
}

std::string json_string(const std::string& text) {
  return Json(text).dump();
}

std::string variants_json(const std::vector<std::pair<std::string, std::string>>& objects) {
  Json j = Json::object();
  for (const auto& [name, text] : objects) j[name] = Json::parse(text);
  return j.dump(2) + "\n";
}

}  // namespace headroom
