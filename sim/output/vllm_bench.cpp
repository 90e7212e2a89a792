#include "sim/output/vllm_bench.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/output/files.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

double deviation(double squares, double mean, std::int64_t count) {
  return count > 0 ? std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean * mean)) : 0;
}

double deviation(std::span<const GapRun> gaps, const Distribution& d) {
  double squares = 0;
  for (const GapRun& g : gaps) {
    const auto n = static_cast<double>(g.steps);
    const double steps = n * (n - 1) / 2, steps_squared = (n - 1) * n * (2 * n - 1) / 6;
    squares +=
        g.sequences * (n * g.first * g.first + 2 * g.first * g.slope * steps + g.slope * g.slope * steps_squared);
  }
  return deviation(squares, d.mean, d.count);
}

void add(Json& j, const std::string& name, const Distribution& d, double std_deviation) {
  j["mean_" + name + "_ms"] = 1e3 * d.mean;
  j["median_" + name + "_ms"] = 1e3 * d.p50;
  j["std_" + name + "_ms"] = 1e3 * std_deviation;
  j["p90_" + name + "_ms"] = 1e3 * d.p90;
  j["p95_" + name + "_ms"] = 1e3 * d.p95;
  j["p99_" + name + "_ms"] = 1e3 * d.p99;
}

}  // namespace

void write_vllm_bench(const std::string& path, const Scenario& s, const RunResult& run, const Summary& m) {
  Json j;
  j["date"] = "simulated";
  j["backend"] = "headroom";
  j["endpoint_type"] = "headroom";
  j["label"] = s.name;
  j["model_id"] = s.model.name;
  j["tokenizer_id"] = s.model.name;
  j["num_prompts"] = m.submitted;
  const ArrivalProcess& a = s.workload.arrivals;
  const bool closed = a.kind == ArrivalProcess::Kind::kClosedLoop;
  if (a.rate > 0) {
    j["request_rate"] = a.rate;
  } else {
    j["request_rate"] = "inf";
  }
  j["burstiness"] = a.burstiness;
  j["max_concurrency"] = closed ? Json(a.users) : Json(nullptr);
  std::int64_t inputs = 0, outputs = 0;
  double ttft = 0, tpot = 0, e2el = 0;
  std::vector<std::int64_t> input_lens, output_lens;
  std::vector<double> ttfts, start_times;
  std::vector<std::string> errors;
  for (const RequestRecord& r : run.requests) {
    const bool done = r.status == RequestStatus::kFinished;
    input_lens.push_back(r.prompt_tokens);
    output_lens.push_back(r.output_tokens);
    start_times.push_back(r.arrival);
    ttfts.push_back(done ? r.first_token - r.arrival : 0);
    errors.emplace_back(done ? "" : r.status == RequestStatus::kRejected ? "rejected" : "out of memory");
    if (!done) continue;
    inputs += r.prompt_tokens;
    outputs += r.output_tokens;
    ttft += std::pow(r.first_token - r.arrival, 2);
    e2el += std::pow(r.finish - r.arrival, 2);
    const int own = r.output_tokens / r.samples;
    if (own > 1) tpot += std::pow((r.finish - r.first_token) / (own - 1), 2);
  }
  j["duration"] = m.duration;
  j["completed"] = m.completed;
  j["failed"] = m.submitted - m.completed;
  j["total_input_tokens"] = inputs;
  j["total_output_tokens"] = outputs;
  j["request_throughput"] = m.requests_per_s;
  const bool has_slo = s.slo.ttft || s.slo.tpot || s.slo.e2el;
  j["request_goodput"] = has_slo ? Json(m.goodput_requests_per_s) : Json(nullptr);
  j["output_throughput"] = m.output_tokens_per_s;
  j["total_token_throughput"] = m.total_tokens_per_s;
  add(j, "ttft", m.ttft, deviation(ttft, m.ttft.mean, m.ttft.count));
  add(j, "tpot", m.tpot, deviation(tpot, m.tpot.mean, m.tpot.count));
  add(j, "itl", m.itl, deviation(run.gaps, m.itl));
  add(j, "e2el", m.e2el, deviation(e2el, m.e2el.mean, m.e2el.count));
  j["input_lens"] = input_lens;
  j["output_lens"] = output_lens;
  j["start_times"] = start_times;
  j["ttfts"] = ttfts;
  j["errors"] = errors;
  write_text_file(path, j.dump() + "\n");
}

}  // namespace headroom
