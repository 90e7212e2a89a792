#include "sim/engine/intervals.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/config/scenario_derive.h"
#include "sim/engine/simulation.h"
#include "sim/workload/random.h"

namespace headroom {
namespace {

// Normal quantiles of the middles of `draws` equal strata, in random order.
std::vector<double> stratified_normal(Random& random, int draws) {
  std::vector<double> z;
  for (int i = 0; i < draws; ++i) z.push_back(normal_quantile((i + 0.5) / draws));
  for (std::size_t i = z.size(); i > 1; --i) std::swap(z[i - 1], z[random.below(i)]);
  return z;
}

double quantile(const std::vector<double>& sorted, double p) {
  const double at =
      std::clamp(p * static_cast<double>(sorted.size()) - 0.5, 0.0, static_cast<double>(sorted.size() - 1));
  const auto below = static_cast<std::size_t>(at);
  const double rest = at - static_cast<double>(below);
  return rest > 0 ? sorted[below] * (1 - rest) + sorted[below + 1] * rest : sorted[below];
}

void scale_memory(Scenario& s, double scale) {
  if (s.engine.num_gpu_blocks_override) return;  // the pool is what the user says
  const MemoryPlan& plan = s.memory;
  const auto beside = static_cast<double>((plan.activation_peak + plan.context).count()) +
                      (s.engine.host.graph_sizes.empty() ? 0 : static_cast<double>(s.engine.cuda_graph_bytes.count()));
  const auto more = static_cast<std::int64_t>((scale - 1) * beside);
  const MemoryRule rule = s.engine.memory_rule;
  if (rule == MemoryRule::kCacheFlow || rule == MemoryRule::kVllmV0 || rule == MemoryRule::kVllmV1 ||
      rule == MemoryRule::kVllmV1GraphAware) {
    const std::int64_t block = s.engine.block_size * plan.kv_per_token.count();
    const std::int64_t null_block = s.engine.null_block ? block : 0;
    const std::int64_t pool = plan.kv_pool.count() + null_block - more;
    s.engine.kv_cache_memory =
        Bytes{std::clamp(pool, 2 * block, plan.kv_pool.count() + null_block + plan.unused.count())};
  } else {
    s.hardware.context_bytes = Bytes{std::max<std::int64_t>(0, s.hardware.context_bytes.count() + more)};
  }
  s.memory = plan_memory(s.model, s.hardware, memory_plan_input(s));
}

// When the last request comes of those that come whether or not the engine keeps up; 0 where it waits for others' ends.
double last_arrival(const Workload& workload) {
  if (!workload.follow_up.empty()) return 0;
  double last = 0;
  for (const Request& r : workload.requests) last = std::max(last, r.arrival.count());
  return last;
}

// What no draw changes, and no discrepancy either.
struct Bounds {
  double weights = 0;       // bytes
  double last_arrival = 0;  // of requests that come whether or not the engine keeps up
};

Interval widened(Interval interval, const Measure& measure, double discrepancy, const Bounds& bounds,
                 const Interval& duration) {
  if (interval.low == interval.high || interval.low < 0) return interval;  // exact
  double down = discrepancy, up = discrepancy;
  // Work that is given ends sooner, and faster, only as far as the last request allows.
  const double sooner = bounds.last_arrival > 0 && duration.low > bounds.last_arrival
                            ? std::min(discrepancy, std::log(duration.low / bounds.last_arrival))
                        : bounds.last_arrival > 0 ? 0
                                                  : discrepancy;
  if (measure.name == "duration_s") down = sooner;
  if (measure.dimension == Dimensions::kRate) up = sooner;
  const double floor = measure.name == "peak_allocated_bytes" ? std::min(bounds.weights, interval.low) : 0;
  interval.low = floor + (interval.low - floor) * std::exp(-down);
  interval.high = floor + (interval.high - floor) * std::exp(up);
  return interval;
}

}  // namespace

std::vector<CostScale> draw_scales(const KernelUncertainty& kernels, double host, double memory, std::uint64_t seed,
                                   int draws) {
  std::vector<CostScale> scales(static_cast<std::size_t>(draws));
  Random random(seed, "intervals");
  const auto fill = [&](double sigma, auto&& part) {
    const std::vector<double> z = stratified_normal(random, draws);
    for (std::size_t i = 0; i < scales.size(); ++i) part(scales[i]) = std::exp(sigma * z[i]);
  };
  fill(kernels.gemm, [](CostScale& s) -> double& { return s.kernels.gemm; });
  fill(kernels.attention, [](CostScale& s) -> double& { return s.kernels.attention; });
  fill(kernels.elementwise, [](CostScale& s) -> double& { return s.kernels.elementwise; });
  fill(kernels.transfer, [](CostScale& s) -> double& { return s.kernels.transfer; });
  fill(host, [](CostScale& s) -> double& { return s.host; });
  fill(memory, [](CostScale& s) -> double& { return s.memory; });
  return scales;
}

Scenario perturbed(const Scenario& scenario, const CostScale& scale) {
  Scenario s = scenario;
  s.hardware = scaled(s.hardware, scale.kernels);
  if (s.cluster.node) s.cluster.node = scaled(*s.cluster.node, scale.kernels);
  s.hardware.launch_time = s.hardware.launch_time * scale.host;
  s.engine.host.per_step = s.engine.host.per_step * scale.host;
  s.engine.host.per_sequence = s.engine.host.per_sequence * scale.host;
  s.engine.host.per_prefill_token = s.engine.host.per_prefill_token * scale.host;
  s.engine.host.per_call = s.engine.host.per_call * scale.host;
  if (s.engine.api_server)
    s.engine.api_server =
        ApiServer{s.engine.api_server->request * scale.host, s.engine.api_server->answer * scale.host};
  scale_memory(s, scale.memory);
  return s;
}

Interval interval_of(std::vector<double> draws, double level) {
  std::erase_if(draws, [](double value) { return std::isnan(value); });
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (draws.empty()) return {kNone, kNone, kNone, kNone};
  std::sort(draws.begin(), draws.end());
  const double low = quantile(draws, (1 - level) / 2), high = quantile(draws, (1 + level) / 2);
  return {low, high, low, high};
}

Ground ground_of(const Scenario& scenario) {
  const Ground of_card = ground_of(scenario.hardware);
  const EngineSpec& e = scenario.engine;
  const bool executed = !e.enable_prefix_caching && !e.host.asynchronous &&
                        (e.host.graph_sizes.empty() || e.host.graphs_of_decodes_only) && !scenario.workload.over_http;
  return of_card == Ground::kOwnKernels && !executed ? Ground::kKernelTables : of_card;
}

std::optional<Predicted> predicted_kind(const Measure& measure) {
  if (measure.planned) return Predicted::kMemory;
  if (measure.dimension != Dimensions::kTime && measure.dimension != Dimensions::kRate) return std::nullopt;
  return belongs_to(measure.name, "ttft_s") || belongs_to(measure.name, "queue_s") ? Predicted::kFirstToken
                                                                                   : Predicted::kTime;
}

Intervals simulate_intervals(const Scenario& scenario, const std::function<void(int done)>& progress) {
  const KernelUncertainty& kernels = scenario.hardware.uncertainty;
  const std::vector<CostScale> scales =
      draw_scales(kernels, scenario.engine.host_uncertainty, scenario.engine.memory_uncertainty, scenario.seed);
  std::map<std::string_view, std::vector<double>> draws;
  Bounds bounds{static_cast<double>(scenario.memory.weights.count()), 0};
  int done = 0;
  for (const CostScale& scale : scales) {
    Scenario truth = perturbed(scenario, scale);
    truth.seed = scenario.seed + static_cast<std::uint64_t>(done);  // the first keeps the scenario's own requests
    const Workload workload = workload_of(truth);
    const RunResult run = simulate(truth, workload);
    const Summary summary = summarize(run, truth.hardware, {});
    for (const Measure& m : measures()) draws[m.name].push_back(m.of(truth, run, summary));
    // What the plan reserves took the factor already; what lives beside the weights at the peak has not.
    double& peak = draws["peak_allocated_bytes"].back();
    peak +=
        (scale.memory - 1) * std::min(static_cast<double>(run.memory.activation_peak.count()), peak - bounds.weights);
    if (done == 0) bounds.last_arrival = last_arrival(workload);
    ++done;
    if (progress) progress(done);
  }
  const Ground ground = ground_of(scenario);
  const Interval duration = interval_of(draws["duration_s"]);
  Intervals intervals;
  for (const Measure& m : measures()) {
    Interval interval = interval_of(std::move(draws[m.name]));
    if (std::isnan(interval.low)) continue;
    if (const auto kind = predicted_kind(m))
      interval = widened(interval, m, model_discrepancy(*kind, ground), bounds, duration);
    intervals.emplace(m.name, interval);
  }
  return intervals;
}

}  // namespace headroom
