#include "sim/output/plan_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}
std::string rate_text(double rate) {
  return fmt::format("{:.3g}/s", rate);
}
std::string settings_text(const PlanCandidate& c) {
  std::string text;
  for (const auto& [path, value] : c.settings) {
    const std::size_t dot = path.rfind('.');
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", dot == std::string::npos ? path : path.substr(dot + 1), value);
  }
  return text;
}

std::string bounds_text(const SloBounds& slo) {
  std::string text;
  const auto add = [&](const char* name, double bound) {
    if (bound < 0) return;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name,
                        bound < 1 ? fmt::format("{:g} ms", 1000 * bound) : fmt::format("{:g} s", bound));
  };
  add("TTFT", slo.ttft);
  add("TPOT", slo.tpot);
  add("E2EL", slo.e2el);
  return text;
}

// Why not more: which bound goes first, what holds requests up, and where the time goes.
std::string reasons(const PlanCandidate& c) {
  const Limits& l = c.limits;
  const std::pair<double, const char*> misses[] = {
      {l.misses_ttft, "TTFT"}, {l.misses_tpot, "TPOT"}, {l.misses_e2el, "E2EL"}};
  const auto worst = std::max_element(std::begin(misses), std::end(misses));
  std::string text = fmt::format("{}", binding(l));
  if (c.too_much.rate > 0 && worst->first >= 0.001)
    text +=
        fmt::format(". At {} {} of requests miss {}", rate_text(c.too_much.rate), percent(worst->first), worst->second);
  text += fmt::format(
      "\n                    GPU time: {} compute-bound steps, {} bandwidth-bound, {} communication; {} host, {} idle",
      percent(l.compute), percent(l.bandwidth), percent(l.communication), percent(l.host), percent(l.idle));
  text += fmt::format(
      "\n                    requests wait for KV blocks {} of the time, for a place in the batch {}, for tokens "
      "before them {}",
      percent(l.waits_for_kv), percent(l.waits_for_batch), percent(l.waits_for_tokens));
  text += fmt::format("\n                    KV pool {} in use, {:.2f} preemptions a request", percent(l.kv_used),
                      l.preemptions_per_request);
  return text;
}

Json json_of(const RateEvidence& e) {
  if (e.rate <= 0) return nullptr;
  return {{"requests_per_s", e.rate},  {"attainment", e.attainment}, {"attainment_low", e.low},
          {"attainment_high", e.high}, {"samples", e.samples},       {"output_tokens_per_s", e.output_tokens_per_s}};
}

Json json_of(const Limits& l) {
  return {
      {"binding", binding(l)},
      {"time",
       {{"compute", l.compute},
        {"bandwidth", l.bandwidth},
        {"communication", l.communication},
        {"host", l.host},
        {"idle", l.idle}}},
      {"waiting", {{"kv_memory", l.waits_for_kv}, {"batch_limit", l.waits_for_batch}, {"tokens", l.waits_for_tokens}}},
      {"misses", {{"ttft", l.misses_ttft}, {"tpot", l.misses_tpot}, {"e2el", l.misses_e2el}}},
      {"late_in_queue", l.late_in_queue},
      {"kv_used", l.kv_used},
      {"preemptions_per_request", l.preemptions_per_request}};
}

class Columns {
 public:
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const {
    std::vector<std::size_t> width;
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i >= width.size()) width.push_back(0);
        width[i] = std::max(width[i], row[i].size());
      }
    std::string out;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i)
        line += i == 0 ? fmt::format("  {:<{}}", row[i], width[i]) : fmt::format("  {:>{}}", row[i], width[i]);
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string money(double usd) {
  return fmt::format("{:.2f}", usd);
}

std::string table(const PlanReport& r) {
  Columns t;
  if (r.rate > 0)
    t.row({"", "a replica carries", "replicas", "GPUs", "USD/h", "USD/M tokens", "what binds"});
  else
    t.row({"", "highest rate", "GPUs", "USD/M tokens", "what binds"});
  std::string problems;
  for (const PlanCandidate& c : r.candidates) {
    const std::string name = settings_text(c);
    if (!c.problem.empty()) {
      const std::size_t error = c.problem.find("error: ");
      problems += fmt::format("  {}: {}\n", name, error == std::string::npos ? c.problem : c.problem.substr(error + 7));
    } else if (c.at_least > 0) {
      const std::string least = fmt::format("at least {:.{}f}", c.at_least, r.fewest_gpus ? 0 : 2);
      t.row({name, "", "", r.fewest_gpus ? least : "", r.fewest_gpus ? "" : least});
    } else if (c.most.rate <= 0) {
      t.row(r.rate > 0 ? std::vector<std::string>{name, "never", "", "", "", "", std::string(binding(c.limits))}
                       : std::vector<std::string>{name, "never", std::to_string(c.gpus_per_replica), "",
                                                  std::string(binding(c.limits))});
    } else if (r.rate > 0) {
      t.row({name, rate_text(c.most.rate), std::to_string(c.replicas), std::to_string(c.gpus()),
             money(c.usd_per_hour()), money(c.usd_per_million_output_tokens()), std::string(binding(c.limits))});
    } else {
      t.row({name, rate_text(c.most.rate), std::to_string(c.gpus_per_replica), money(c.usd_per_million_output_tokens()),
             std::string(binding(c.limits))});
    }
  }
  return t.text() + (problems.empty() ? "" : "not tried:\n" + problems);
}

std::string front(const PlanReport& r) {
  Columns t;
  t.row({"", "rate a replica", "output tokens/s a GPU", fmt::format("{} p{:g}", r.latency, r.percentile)});
  for (const ParetoPoint& p : r.pareto)
    if (p.on_front)
      t.row({settings_text(r.candidates[p.candidate]), rate_text(p.rate),
             fmt::format("{:.0f}", p.output_tokens_per_s_gpu),
             p.latency < 1 ? fmt::format("{:.3g} ms", 1000 * p.latency) : fmt::format("{:.3g} s", p.latency)});
  return t.text();
}

}  // namespace

double PlanCandidate::usd_per_million_output_tokens() const {
  if (most.output_tokens_per_s <= 0) return 0;
  return static_cast<double>(gpus_per_replica) * usd_per_gpu_hour / 3600 / most.output_tokens_per_s * 1e6;
}

std::string plan_text(const PlanReport& r, bool colour) {
  const char *bold = colour ? "\x1b[1m" : "", *plain = colour ? "\x1b[0m" : "";
  std::string out =
      fmt::format("{}{}{}: {:g} % of requests within {}\n", bold, r.name, plain, r.percentile, bounds_text(r.slo));
  if (r.candidates.size() > 1) out += table(r);
  const PlanCandidate& best = r.candidates.front();
  if (!r.met()) {
    out += best.problem.empty() ? fmt::format("cannot be met, not even at {}\n  what binds        {}\n",
                                              rate_text(best.too_much.rate), reasons(best))
                                : fmt::format("cannot be met: {}\n", best.problem);
    return out;
  }
  if (r.candidates.size() > 1) out += fmt::format("{}{}{}\n", bold, settings_text(best), plain);
  out += fmt::format("  highest rate      {} a replica: {} of requests, at least {} with {:g} % confidence ({} {})\n",
                     rate_text(best.most.rate), percent(best.most.attainment), percent(best.most.low), r.confidence,
                     best.most.samples, "samples");
  if (best.too_much.rate > 0)
    out += fmt::format("  not shown at      {}: {} of requests, perhaps only {}\n", rate_text(best.too_much.rate),
                       percent(best.too_much.attainment), percent(best.too_much.low));
  if (best.refused > 0)
    out += fmt::format("  left out          {} of requests, longer than the engine takes\n", percent(best.refused));
  if (r.rate > 0)
    out += fmt::format("  for {:<13} {} replicas of {} GPU{}, {} in all, {} USD/h{}\n", rate_text(r.rate),
                       best.replicas, best.gpus_per_replica, best.gpus_per_replica > 1 ? "s" : "", best.gpus(),
                       money(best.usd_per_hour()), best.replicas_simulated ? ", simulated together" : "");
  out += fmt::format("  output            {:.0f} tokens/s a replica, {} USD per million\n",
                     best.most.output_tokens_per_s, money(best.usd_per_million_output_tokens()));
  out += fmt::format("  what binds        {}\n", reasons(best));
  out += fmt::format("  rests on          {} times of its GPU\n", best.prediction);
  if (!best.flags.empty()) out += fmt::format("\n{}\n", best.flags);
  if (!r.pareto.empty()) out += "\nthroughput against latency, what no other setting beats in both:\n" + front(r);
  return out;
}

std::string plan_json(const PlanReport& r) {
  Json j;
  j["scenario"] = {{"name", r.name}};
  const auto bound = [](double seconds) { return seconds < 0 ? Json(nullptr) : Json(seconds); };
  j["slo"] = {{"ttft_s", bound(r.slo.ttft)},
              {"tpot_s", bound(r.slo.tpot)},
              {"e2el_s", bound(r.slo.e2el)},
              {"percentile", r.percentile}};
  j["confidence"] = r.confidence;
  if (r.rate > 0) j["requests_per_s"] = r.rate;
  j["met"] = r.met();
  j["candidates"] = Json::array();
  for (const PlanCandidate& c : r.candidates) {
    Json one;
    one["settings"] = Json::object();
    for (const auto& [path, value] : c.settings) one["settings"][path] = value;
    if (!c.problem.empty()) {
      one["problem"] = c.problem;
      j["candidates"].push_back(one);
      continue;
    }
    one["gpus_per_replica"] = c.gpus_per_replica;
    one["usd_per_gpu_hour"] = c.usd_per_gpu_hour;
    one["provenance"] = c.prediction;
    one["refused"] = c.refused;
    if (c.at_least > 0) {
      one[r.fewest_gpus ? "gpus_at_least" : "usd_per_hour_at_least"] = c.at_least;
      j["candidates"].push_back(one);
      continue;
    }
    one["highest"] = json_of(c.most);
    one["not_met"] = json_of(c.too_much);
    one["usd_per_million_output_tokens"] = c.usd_per_million_output_tokens();
    if (c.replicas > 0) {
      one["replicas"] = c.replicas;
      one["replicas_simulated"] = c.replicas_simulated;
      one["gpus"] = c.gpus();
      one["usd_per_hour"] = c.usd_per_hour();
    }
    one["limits"] = json_of(c.limits);
    if (!c.flags.empty()) one["flags"] = c.flags;
    j["candidates"].push_back(one);
  }
  if (!r.pareto.empty()) {
    j["pareto"] = Json::array();
    for (const ParetoPoint& p : r.pareto)
      j["pareto"].push_back({{"candidate", p.candidate},
                             {"requests_per_s", p.rate},
                             {"output_tokens_per_s_gpu", p.output_tokens_per_s_gpu},
                             {r.latency + "_s", p.latency},
                             {"on_front", p.on_front}});
  }
  return j.dump(2) + "\n";
}

}  // namespace headroom
