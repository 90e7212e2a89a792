#include <algorithm>
#include <filesystem>

#include "sim/config/catalogue.h"
#include "sim/config/scenario_parts.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kMostRequests = 100'000'000;
constexpr std::int64_t kMostTokens = 100'000'000;
constexpr double kLeastPerCycle = 1e-4;  // arrivals: each turn of on and off is drawn

using Arrivals = ArrivalProcess::Kind;
constexpr Choice<Arrivals> kArrivals[] = {{"poisson", Arrivals::kPoisson},   {"gamma", Arrivals::kGamma},
                                          {"constant", Arrivals::kConstant}, {"batch", Arrivals::kBatch},
                                          {"on-off", Arrivals::kOnOff},      {"closed-loop", Arrivals::kClosedLoop},
                                          {"trace", Arrivals::kTrace}};

using Lengths = LengthDistribution::Kind;
constexpr Choice<Lengths> kLengths[] = {
    {"fixed", Lengths::kFixed},        {"uniform", Lengths::kUniform},         {"lognormal", Lengths::kLognormal},
    {"normal", Lengths::kNormal},      {"exponential", Lengths::kExponential}, {"geometric", Lengths::kGeometric},
    {"empirical", Lengths::kEmpirical}};

constexpr Choice<TraceFormat> kFormats[] = {{"azure", TraceFormat::kAzure},       {"burstgpt", TraceFormat::kBurstGpt},
                                            {"mooncake", TraceFormat::kMooncake}, {"sharegpt", TraceFormat::kShareGpt},
                                            {"csv", TraceFormat::kCsv},           {"jsonl", TraceFormat::kJsonl}};

// A data file: beside the scenario, or one of those that ship under configs/traces.
std::string data_file(const Value& value) {
  std::error_code ignored;
  const auto shipped = [&] {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(fs::path(configs_folder()) / "traces", ignored))
      if (entry.path().extension() == ".gz") files.push_back(entry.path().filename().string());
    std::sort(files.begin(), files.end());
    return files;
  };
  if (value.watched()) {
    const std::vector<std::string> files = shipped();
    value.expects(std::vector<std::string_view>(files.begin(), files.end()), true);
  }
  const fs::path name = value.text();
  for (const fs::path& candidate :
       {fs::path(value.pos().file).parent_path() / name, fs::path(configs_folder()) / "traces" / name, name})
    if (fs::is_regular_file(candidate, ignored)) {
      must_be_allowed(value, candidate.string());
      return candidate.string();
    }
  const std::vector<std::string> files = shipped();
  const std::vector<std::string_view> known(files.begin(), files.end());
  value.fail(fmt::format("no file '{}' beside the scenario or in configs/traces{}", name.string(),
                         suggestion(name.string(), known)));
}

double positive_rate(const Value& value) {
  const double rate = value.rate();
  if (rate <= 0) value.fail("must be above zero");
  return rate;
}

ArrivalProcess read_arrivals(const Map& map) {
  ArrivalProcess a;
  a.kind = choose(map.at("process"), std::span<const Choice<Arrivals>>(kArrivals), "arrival process");
  switch (a.kind) {
    case Arrivals::kGamma:
      a.burstiness = map.at("burstiness").number(1e-3, 1e6);
      [[fallthrough]];
    case Arrivals::kPoisson:
    case Arrivals::kConstant:
      a.rate = positive_rate(map.at("rate"));
      if (const auto exact = map.find("exact_rate")) a.exact_rate = exact->boolean();
      break;
    case Arrivals::kOnOff:
      a.rate = positive_rate(map.at("rate"));
      if (const auto off = map.find("off_rate")) a.off_rate = off->rate();
      a.on_time = map.at("on_time").time();
      a.off_time = map.at("off_time").time();
      if (a.on_time.count() <= 0 || a.off_time.count() <= 0) map.fail("on_time and off_time must be above zero");
      if (a.rate * a.on_time.count() + a.off_rate * a.off_time.count() < kLeastPerCycle)
        map.fail("less than one arrival in 10,000 turns of on and off; expected longer times or higher rates");
      break;
    case Arrivals::kClosedLoop:
      a.users = map.at("users").integer(1, 10'000'000);
      if (const auto think = map.find("think_time")) a.think_time = think->time();
      if (const auto law = map.find("think_distribution")) {
        constexpr Choice<bool> kLaws[] = {{"constant", false}, {"exponential", true}};
        a.exponential_think = choose(*law, std::span<const Choice<bool>>(kLaws), "distribution of think times");
      }
      break;
    case Arrivals::kBatch:
    case Arrivals::kTrace:
      break;
  }
  map.done();
  return a;
}

LengthDistribution read_lengths(const Value& value) {
  LengthDistribution law;
  if (value.is_scalar()) {  // a bare number: always that
    law.mean = static_cast<double>(value.integer(1, kMostTokens));
    return law;
  }
  const Map map = value.map();
  law.kind = choose(map.at("distribution"), std::span<const Choice<Lengths>>(kLengths), "length distribution");
  if (law.kind == Lengths::kUniform) {
    law.min = map.at("min").integer(1, kMostTokens);
    law.max = map.at("max").integer(law.min, kMostTokens);
  } else {
    if (law.kind == Lengths::kEmpirical) {
      law.path = data_file(map.at("path"));
      law.values = read_length_column(law.path, map.at("column").text());
    } else {
      law.mean = map.at("mean").number(1, static_cast<double>(kMostTokens));
    }
    if (law.kind == Lengths::kLognormal || law.kind == Lengths::kNormal) law.cv = map.at("cv").number(0, 100);
    if (const auto min = map.find("min")) law.min = min->integer(1, kMostTokens);
    if (const auto max = map.find("max")) law.max = max->integer(law.min, kMostTokens);
  }
  map.done();
  return law;
}

}  // namespace

WorkloadSpec read_workload(const Map& map) {
  WorkloadSpec w;
  if (const auto requests = map.find("requests")) w.requests = requests->integer(1, kMostRequests);
  if (const auto trace = map.find("trace")) {
    const Map t = trace->map();
    TraceSpec spec;
    spec.format = choose(t.at("format"), std::span<const Choice<TraceFormat>>(kFormats), "trace format");
    spec.path = data_file(t.at("path"));
    if (spec.format == TraceFormat::kMooncake)
      if (const auto block = t.find("block_tokens")) spec.block_tokens = block->integer(1, 1'000'000);
    t.done();
    w.trace = spec;
    if (const auto scale = map.find("time_scale")) w.time_scale = scale->number(1e-6, 1e6);
    w.arrivals.kind = Arrivals::kTrace;
    if (map.has("arrivals")) w.arrivals = read_arrivals(map.map("arrivals"));
    if (const auto scale = map.find("time_scale"); scale && w.arrivals.kind != Arrivals::kTrace)
      scale->fail("has no effect with arrivals of your own");
    const bool has_times = w.trace->format != TraceFormat::kShareGpt;
    if (w.arrivals.kind == Arrivals::kTrace && !has_times)
      trace->fail("this format has no arrival times; give 'arrivals' with a process of your own");
    if (w.arrivals.kind == Arrivals::kTrace && !trace_has_arrivals(spec))
      trace->fail("the file has no arrival times; give 'arrivals' with a process of your own");
  } else {
    if (w.requests == 0) map.fail("missing key 'requests'");
    w.arrivals = read_arrivals(map.at("arrivals").map());
    if (w.arrivals.kind == Arrivals::kTrace)
      map.at("arrivals").fail("process 'trace' needs a 'trace' with arrival times");
    w.prompt_tokens = read_lengths(map.at("prompt_tokens"));
    w.output_tokens = read_lengths(map.at("output_tokens"));
    if (const auto sessions = map.find("sessions")) {
      const Map s = sessions->map();
      w.sessions = SessionSpec{read_lengths(s.at("turns")), s.at("think_time").time()};
      s.done();
      if (w.arrivals.kind == Arrivals::kClosedLoop)
        sessions->fail("sessions have pauses of their own; expected an open arrival process");
    }
  }
  if (const auto shared = map.find("shared_prefix")) {
    const Map s = shared->map();
    SharedPrefix prefix;
    prefix.tokens = s.at("tokens").integer(1, kMostTokens);
    if (const auto count = s.find("count")) prefix.count = count->integer(1, 1'000'000'000);
    if (const auto fraction = s.find("fraction")) prefix.fraction = fraction->number(0, 1);
    s.done();
    w.shared_prefix = prefix;
  }
  if (const auto client = map.find("client")) {
    constexpr Choice<bool> kClients[] = {{"in-process", false}, {"http", true}};
    w.over_http = choose(*client, std::span<const Choice<bool>>(kClients), "client");
  }
  if (const auto rule = map.find("sampling")) {
    constexpr Choice<bool> kRules[] = {{"greedy", false}, {"top-p", true}};
    w.top_p = choose(*rule, std::span<const Choice<bool>>(kRules), "sampling");
  }
  if (const auto ignore = map.find("ignore_eos")) w.ignore_eos = ignore->boolean();
  if (const auto samples = map.find("samples")) {
    w.samples = samples->integer(1, 1000);
    if (w.samples > 1 && w.sessions) samples->fail("sessions go on from one answer; expected 1 sample");
  }
  map.done();
  return w;
}

}  // namespace headroom
