// headroom plan: the highest rate within the SLO, or the least hardware for a rate.
#include "sim/plan/plan.h"

#include <fmt/format.h>

#include <iostream>

#include "sim/commands/scenario_options.h"
#include "sim/config/catalogue.h"
#include "sim/config/quantity.h"
#include "sim/sweep/workers.h"

namespace headroom {
namespace {

namespace po = boost::program_options;

void add_options(po::options_description_easy_init add) {
  add_scenario_options(add);
  add("rate", po::value<std::string>(), "requests to plan for, such as 20/s; default: find the highest rate");
  add("over", po::value<Words>()->composing(),
      "PATH=[VALUE, ...]: settings to choose from; may be repeated. With --rate and none given: every GPU in "
      "configs/hardware, tensor parallel 1, 2, 4 and 8");
  add("minimize", po::value<std::string>()->default_value("money"), "with --rate: money or gpus");
  add("percentile", po::value<double>()->default_value(99), "of requests that must be within every bound of the SLO");
  add("confidence", po::value<double>()->default_value(95), "that they are, in percent");
  add("pareto", po::value<std::string>(), "ttft, tpot or e2el: also the front of throughput against it");
  add("requests", po::value<std::int64_t>(), "in one run of one replica; default: what rate and SLO call for");
  add("jobs", po::value<int>(), "runs at a time; default: a CPU each");
  add("json", po::bool_switch(), "print JSON instead of text");
  add("quiet", po::bool_switch(), "no progress");
}

double percent_of(const Values& values, const char* name) {
  const double percent = values[name].as<double>();
  if (!(percent > 0 && percent < 100)) throw po::error(fmt::format("--{}: expected a number between 0 and 100", name));
  return percent;
}

std::string one_of(const std::string& word, const char* option, std::initializer_list<std::string_view> known) {
  const std::vector<std::string_view> names(known);
  if (std::find(names.begin(), names.end(), word) == names.end())
    throw po::error(fmt::format("--{}: no '{}'{}", option, word, suggestion(word, names)));
  return word;
}

std::vector<Axis> choices(const Values& values) {
  std::vector<Axis> axes;
  if (values.count("over") != 0)
    for (const std::string& text : values["over"].as<Words>()) axes.push_back(axis_from_text(text, "--over"));
  if (!axes.empty() || values.count("rate") == 0) return axes;
  axes.push_back(axis_from_text(fmt::format("hardware=[{}]", fmt::join(catalogue_names("hardware"), ", ")), "--over"));
  axes.push_back(axis_from_text("cluster.tensor_parallel_size=[1, 2, 4, 8]", "--over"));
  return axes;
}

int run(const Values& values, const Words& operands) {
  PlanOptions options;
  options.load = load_options(values);
  options.percentile = percent_of(values, "percentile");
  options.confidence = percent_of(values, "confidence");
  if (values.count("rate") != 0) {
    const ParsedQuantity rate = parse_quantity(text_of(values, "rate"), Dimension::kRate);
    if (!rate.problem.empty()) throw po::error("--rate: " + rate.problem);
    if (rate.value <= 0) throw po::error("--rate: must be above zero");
    options.rate = rate.value;
  }
  options.fewest_gpus = one_of(text_of(values, "minimize"), "minimize", {"money", "gpus"}) == "gpus";
  if (values.count("pareto") != 0)
    options.latency = one_of(text_of(values, "pareto"), "pareto", {"ttft", "tpot", "e2el"});
  if (values.count("requests") != 0) options.requests = values["requests"].as<std::int64_t>();
  if (values.count("requests") != 0 && options.requests < 20) throw po::error("--requests: expected at least 20");
  options.jobs = values.count("jobs") != 0 ? values["jobs"].as<int>() : available_cpus();
  if (options.jobs < 1 || options.jobs > 4096) throw po::error("--jobs: expected 1 to 4096");
  options.quiet = values["quiet"].as<bool>();
  options.over = choices(values);
  options.all_that_can = values.count("over") == 0;

  Shelf shelf;
  const PlanReport report = make_plan(only_scenario(operands), options, shelf);
  std::cout << (values["json"].as<bool>() ? plan_json(report) : plan_text(report, colourful()));
  return report.met() ? 0 : 1;
}

}  // namespace

const Command kPlanCommand{"plan", "SCENARIO.yaml", "the highest rate within the SLO, or the least hardware for a rate",
                           1,      add_options,     run};

}  // namespace headroom
