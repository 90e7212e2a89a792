#include "sim/plan/candidates.h"

#include <exception>

#include "sim/engine/slo_bounds.h"
#include "sim/output/vllm_flags.h"
#include "sim/plan/trial.h"

namespace headroom {
namespace {

// The choices as the axes of a sweep.
SweepFile space_of(const std::string& file, const PlanOptions& options, Shelf& shelf) {
  SweepFile space;
  space.scenario_file = file;
  for (const std::string& text : options.load.overrides) space.common.push_back(override_layer(text));
  space.axes = options.over;
  for (std::size_t i = 0; i < space.axes.size(); ++i) {
    space.axes[i].dimension = i;
    space.lengths.push_back(space.axes[i].values.size());
  }
  const Map map = shelf.yaml(file).map();
  space.variants = map.has("variants") ? map.map("variants").keys() : std::vector<std::string>{""};
  return space;
}

void check_plannable(const Scenario& s) {
  check_arrivals(s);
  const SloBounds slo = slo_bounds(s);
  if (slo.ttft < 0 && slo.tpot < 0 && slo.e2el < 0)
    throw ConfigError({s.file, 0, 0}, "no bounds to plan for; expected slo with ttft, tpot or e2el");
  if (s.cluster.replicas != 1)
    throw ConfigError({s.file, 0, 0}, "cluster.replicas: a plan counts the replicas itself; expected 1");
}

}  // namespace

std::vector<Candidate> load_candidates(const std::string& file, const PlanOptions& options, Shelf& shelf) {
  SweepFile space = space_of(file, options, shelf);
  if (!options.all_that_can) try_values(space, shelf);
  std::vector<Candidate> all;
  std::exception_ptr first_problem;
  bool any = false;
  for (std::size_t id = 0; id < space.num_points(); ++id) {
    SweepPoint point = space.point(id);
    point.seed = options.load.seed;
    Candidate c;
    for (std::size_t a = 0; a < space.axes.size(); ++a)
      c.report.settings.emplace_back(space.axes[a].path, space.axes[a].values[point.at[a]].word);
    if (!point.variant.empty()) c.report.settings.emplace_back("variant", point.variant);
    try {
      c.scenario = load_point(space, point, shelf);
    } catch (const ConfigError& error) {
      c.report.problem = error.what();
      if (!first_problem) first_problem = std::current_exception();
      all.push_back(std::move(c));
      continue;
    }
    any = true;
    check_plannable(c.scenario);
    c.recorded = requests_to_draw_from(c.scenario);
    c.report.gpus_per_replica = c.scenario.cluster.tensor_parallel_size * c.scenario.cluster.pipeline_parallel_size;
    c.report.usd_per_gpu_hour = c.scenario.hardware.price_per_hour.count();
    c.report.flags = vllm_serve_line(c.scenario);
    all.push_back(std::move(c));
  }
  if (!any) std::rethrow_exception(first_problem);
  return all;
}

}  // namespace headroom
