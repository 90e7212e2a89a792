// Sections of the page, top to bottom; each adds its HTML and, for its pictures, a mark that is replaced at the end, so
// that one gnuplot draws them all.
#include "sim/report/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/config/quantity.h"
#include "sim/output/texts.h"
#include "sim/report/figures.h"
#include "sim/report/html.h"
#include "sim/report/inputs.h"
#include "sim/report/metrics.h"
#include "sim/report/page.h"
#include "sim/report/provenance.h"
#include "sim/report/run_charts.h"

namespace headroom {
namespace {

std::string plural(double n, std::string_view noun) {
  return fmt::format("{:.0f} {}{}", n, noun, n == 1 ? "" : "s");
}

class RunReport {
 public:
  explicit RunReport(std::span<const RecordedRun> runs) : runs_(runs) {
    for (const RecordedRun& run : runs) {
      leaves_.push_back(scenario_leaves(run));
      provenance_.push_back(provenance_of(run));
    }
  }

  std::string html() {
    heading();
    answer();
    if (runs_.size() > 1) differences();
    memory();
    latency();
    queues();
    time();
    slowest();
    sources();
    scenarios();
    out_ += fmt::format(
        "<footer>Made by headroom {} from what it simulated; nothing on this page was measured on a GPU "
        "unless it says so.</footer>\n",
        escaped(first().summary.text("simulator.version")));
    return page_html(title(), figures_.into(out_));
  }

 private:
  const RecordedRun& first() const { return runs_.front(); }
  double number(std::size_t i, const std::string& path) const { return runs_[i].summary.number(path); }
  std::string title() const {
    const std::string name = first().summary.text("scenario.name");
    for (const RecordedRun& run : runs_)
      if (run.summary.text("scenario.name") != name) return name + " and others";
    return name;
  }
  // The run's mark: the colour its lines have in shared charts.
  static std::string colour(std::size_t i) { return std::string(kPalette[i % kSeriesColours].variable); }
  std::string run_legend() const {
    std::vector<std::pair<std::string, std::string>> entries;
    for (std::size_t i = 0; i < runs_.size(); ++i)
      entries.emplace_back(colour(i), runs_[i].name + (i >= kSeriesColours ? " (dashed)" : ""));
    return legend_html(entries);
  }

  void heading() {
    const Leaves& l = leaves_.front();
    const auto common = [&](std::string_view path) {
      const std::string word = leaf(l, path);
      const bool same =
          std::all_of(leaves_.begin(), leaves_.end(), [&](const Leaves& o) { return leaf(o, path) == word; });
      return same ? word : std::string("several");
    };
    out_ += "<header><p class=\"kicker\">Headroom report</p>\n<h1>" + escaped(title()) + "</h1>\n";
    std::string model = common("model"), hardware = common("hardware");
    const double gpus = std::max(1.0, std::atof(leaf(l, "cluster.replicas").c_str())) *
                        std::max(1.0, std::atof(leaf(l, "cluster.tensor_parallel_size").c_str())) *
                        std::max(1.0, std::atof(leaf(l, "cluster.pipeline_parallel_size").c_str()));
    out_ +=
        fmt::format("<p class=\"lede\">{} on {}, {}{}.</p>\n", escaped(model == "several" ? "Several models" : model),
                    escaped(hardware == "several" ? "several cards" : fmt::format("{:.0f} × {}", gpus, hardware)),
                    plural(first().summary.number("requests.submitted"), "request"),
                    runs_.size() > 1 ? fmt::format(", {} runs side by side", runs_.size()) : "");
    out_ += "<nav aria-label=\"sections\">";
    if (runs_.size() > 1) out_ += "<a href=\"#differences\">What differs</a>";
    out_ +=
        "<a href=\"#memory\">Memory</a><a href=\"#latency\">Latency</a><a href=\"#queues\">Batch and queue</a>"
        "<a href=\"#time\">Time</a><a href=\"#requests\">Requests</a><a href=\"#sources\">Sources</a>"
        "<a href=\"#scenario\">Scenario</a></nav></header>\n";
  }

  // How sure: the worst provenance of the runs decides.
  void trust() {
    const auto rank = [](const std::string& word) {
      return word == "measured" ? 0 : word == "mixed" ? 1 : word == "fitted" ? 2 : 3;
    };
    std::size_t worst = 0;
    for (std::size_t i = 1; i < runs_.size(); ++i)
      if (rank(runs_[i].summary.text("prediction.provenance")) >
          rank(runs_[worst].summary.text("prediction.provenance")))
        worst = i;
    const RecordedSummary& s = runs_[worst].summary;
    const std::string word = s.text("prediction.provenance");
    const double outside = s.number("prediction.extrapolated_time_fraction");
    out_ += fmt::format("<div class=\"trust {}\"><b>How sure: {}</b><p>{}</p>", escaped(word), escaped(word),
                        escaped(trust_text(word, s.text("prediction.hardware"), std::isnan(outside) ? 1 : outside)));
    const double level = s.number("prediction.interval.level");
    out_ += std::isnan(level)
                ? std::string(
                      "<p class=\"soft\"><code>headroom run --intervals</code> adds how far the truth may "
                      "lie from each figure.</p>")
                : fmt::format("<p class=\"soft\">Ranges beside figures: {:.0f} % intervals.</p>", 100 * level);
    out_ += "</div>\n";
  }

  // What bound the run, in words, from its own ledgers.
  std::string verdict(std::size_t i) const {
    const auto n = [&](const char* path) { return number(i, path); };
    std::string text =
        fmt::format("Answered {:.0f} of {}", n("requests.completed"), plural(n("requests.submitted"), "request"));
    text += fmt::format(" in {}", time_text(n("duration_s")));
    if (n("requests.rejected") > 0)
      text += fmt::format("; {:.0f} were refused or ran out of memory", n("requests.rejected"));
    text += ". ";
    const double waiting = n("latency.queue_s.mean"), whole = n("latency.e2el_s.mean");
    if (whole > 0) text += fmt::format("Waiting was {:.0f} % of an answer's time. ", 100 * waiting / whole);
    const double free = n("memory.waste.free") + n("memory.waste.cached"), external = n("memory.waste.external");
    if (free < 0.1)
      text += "The KV pool was full most of the time";
    else if (external > 0.1)
      text +=
          fmt::format("Requests waited for a place while {:.0f} % of the KV pool lay between others", 100 * external);
    else
      text += fmt::format("{:.0f} % of the KV pool held no request on average", 100 * free);
    if (n("scheduler.preemptions") > 0)
      text += fmt::format(", with {}", plural(n("scheduler.preemptions"), "preemption"));
    text += fmt::format("; the GPU was busy {:.0f} % of the time.", 100 * n("gpu.busy_fraction"));
    return text;
  }

  void answer() {
    out_ += "<section id=\"answer\" aria-label=\"what happened and how sure\">\n";
    trust();
    if (runs_.size() > 4) {
      all_runs();
    } else {
      out_ += "<div class=\"cards\">\n";
      for (std::size_t i = 0; i < runs_.size(); ++i) card(i);
      out_ += "</div>\n";
    }
    out_ += "</section>\n";
  }

  // The interval of a figure, "20 ms to 30 ms"; empty when the run has none.
  std::string interval(std::size_t i, const std::string& path) const {
    const std::string at = "prediction.interval." + path.substr(path.find('.') + 1);
    const double low = number(i, at + ".0"), high = number(i, at + ".1");
    const Metric& metric = *metric_at(path);
    return std::isnan(low) ? "" : fmt::format("{} to {}", text_of(metric, low), text_of(metric, high));
  }

  void card(std::size_t i) {
    const Leaves& l = leaves_[i];
    const bool has_slo = !leaf(l, "slo.ttft").empty() || !leaf(l, "slo.tpot").empty() || !leaf(l, "slo.e2el").empty();
    const std::string name = runs_.size() > 1 ? runs_[i].name : "What happened";
    out_ += "<article class=\"card\"><h3>";
    if (runs_.size() > 1) out_ += fmt::format("<i style=\"background:var({})\"></i>", colour(i));
    out_ += fmt::format("{}</h3><p>{}</p><dl>", escaped(name), escaped(verdict(i)));
    const auto item = [&](const char* label, const std::string& value, const std::string& small = "") {
      out_ += fmt::format("<div><dt>{}</dt><dd>{}{}</dd></div>", label, escaped(value),
                          small.empty() ? "" : " <small>" + escaped(small) + "</small>");
    };
    const auto metric = [&](const char* path) { return text_of(*metric_at(path), number(i, path)); };
    const auto with_interval = [&](const char* label, const char* path, const std::string& small = "") {
      const std::string range = interval(i, path);
      item(label, metric(path), small + (small.empty() || range.empty() ? "" : "; ") + range);
    };
    with_interval("requests/s", "throughput.requests_per_s");
    with_interval("output tokens/s", "throughput.output_tokens_per_s");
    if (has_slo) with_interval("within the SLO", "goodput.fraction");
    with_interval("first token, p50", "latency.ttft_s.p50", "p99 " + metric("latency.ttft_s.p99"));
    with_interval("per further token, p50", "latency.tpot_s.p50", "p99 " + metric("latency.tpot_s.p99"));
    item("mean batch", metric("scheduler.mean_batch"));
    item("USD per M output tokens", metric("cost.usd_per_million_output_tokens"));
    out_ += "</dl></article>\n";
  }

  void all_runs() {
    HtmlTable table;
    table.caption = "All runs; a click on a heading sorts.";
    table.head = {"run"};
    const char* paths[] = {
        "requests.completed",        "throughput.requests_per_s", "throughput.output_tokens_per_s",
        "goodput.fraction",          "latency.ttft_s.p50",        "latency.ttft_s.p99",
        "latency.tpot_s.p50",        "latency.tpot_s.p99",        "scheduler.mean_batch",
        "memory.waste.token_states", "scheduler.preemptions",     "cost.usd_per_million_output_tokens"};
    for (const char* path : paths) table.head.emplace_back(metric_at(path)->label);
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      std::vector<Cell> row{Cell{runs_[i].name}};
      for (const char* path : paths)
        row.push_back(number_cell(number(i, path), text_of(*metric_at(path), number(i, path))));
      table.rows.push_back(std::move(row));
    }
    out_ += html_of(table);
  }

  void differences() {
    out_ += "<section id=\"differences\"><h2>What differs, and what moved it</h2>\n";
    out_ += inputs_html(runs_, leaves_);
    HtmlTable table;
    table.sortable = false;
    table.head = {"figure"};
    for (const RecordedRun& run : runs_) table.head.push_back(run.name);
    const bool pair = runs_.size() == 2;
    if (pair) table.head.push_back("change");
    std::string_view group;
    for (const Metric& metric : metrics()) {
      const std::string path(metric.path);
      if (std::isnan(number(0, path))) continue;
      if (metric.group != group) {
        group = metric.group;
        table.rows.push_back({Cell{std::string(group), Cell::kNoValue, "<b>" + escaped(group) + "</b>"}});
      }
      std::vector<Cell> row{Cell{std::string(metric.label)}};
      for (std::size_t i = 0; i < runs_.size(); ++i)
        row.push_back(number_cell(number(i, path), text_of(metric, number(i, path))));
      if (pair) {
        const Change change = change_of(metric, number(0, path), number(1, path));
        row.push_back({change.text, Cell::kNoValue, "",
                       change.verdict > 0   ? "better"
                       : change.verdict < 0 ? "worse"
                                            : ""});
      }
      table.rows.push_back(std::move(row));
    }
    out_ += html_of(table) + "</section>\n";
  }

  void memory() {
    out_ += "<section id=\"memory\"><h2>Where the memory went</h2>\n<h3>One GPU</h3>\n";
    const BarPart parts[] = {{"weights", "--blue", 0}, {"activation peak", "--orange", 0}, {"context", "--pink", 0},
                             {"other", "--yellow", 0}, {"KV pool", "--green", 0},          {"unused", "--empty", 0}};
    const char* paths[] = {"weights_bytes", "activation_peak_bytes", "context_bytes",
                           "other_bytes",   "kv_pool_bytes",         "unused_bytes"};
    std::vector<std::pair<std::string, std::string>> legend;
    for (const BarPart& part : parts) legend.emplace_back(part.colour, part.label);
    out_ += legend_html(legend);
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      std::vector<BarPart> own(std::begin(parts), std::end(parts));
      const double all = number(i, "memory.gpu_bytes");
      for (std::size_t k = 0; k < own.size(); ++k) own[k].share = number(i, std::string("memory.") + paths[k]) / all;
      out_ +=
          bar_html(fmt::format("{}, {} of which the KV pool has {}", runs_[i].name, size_text(Bytes{std::llround(all)}),
                               size_text(Bytes{std::llround(number(i, "memory.kv_pool_bytes"))})),
                   own);
    }
    out_ += "<h3>The KV pool, average over time</h3>\n" + state_legend();
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      std::vector<BarPart> own;
      for (const SlotState& state : kSlotStates)
        own.push_back({std::string(state.label), std::string(state.colour),
                       number(i, "memory.waste." + std::string(state.field))});
      out_ += bar_html(fmt::format("{}, {:.0f} tokens", runs_[i].name, number(i, "memory.kv_pool_tokens")), own);
    }
    out_ +=
        "<h3>The KV pool over time</h3>\n<p class=\"soft\">Slots of all replicas by what holds them; each step is an "
        "average "
        "over 1/240 of the time, drawn from <code>timeline.csv</code>.</p>\n<div class=\"grid\">\n";
    for (const RecordedRun& run : runs_)
      out_ += figures_.add(runs_.size() > 1 ? run.name : "KV pool over time", "", ledger_chart(run, runs_.size() == 1));
    out_ += "</div></section>\n";
  }

  static std::string state_legend() {
    std::vector<std::pair<std::string, std::string>> legend;
    for (const SlotState& state : kSlotStates) legend.emplace_back(state.colour, state.label);
    return legend_html(legend);
  }

  std::optional<double> bound(std::string_view path) const {
    const std::string text = leaf(leaves_.front(), path);
    if (text.empty()) return std::nullopt;
    const ParsedQuantity q = parse_quantity(text, Dimension::kTime);
    return q.problem.empty() ? std::optional(q.value) : std::nullopt;
  }

  void latency() {
    out_ += "<section id=\"latency\"><h2>What users waited</h2>\n";
    if (runs_.size() > 1) out_ += run_legend();
    out_ += "<div class=\"grid\">\n";
    struct Panel {
      const char *title, *slo;
      Latency which;
    };
    for (const Panel& panel : {Panel{"Time to first token (TTFT)", "slo.ttft", Latency::kTtft},
                               Panel{"Time per further token (TPOT)", "slo.tpot", Latency::kTpot},
                               Panel{"Whole answer (E2EL)", "slo.e2el", Latency::kE2el}}) {
      const auto slo = bound(panel.slo);
      if (const auto chart = latency_chart(runs_, panel.which, slo))
        out_ += figures_.add(panel.title, slo ? "dashed: the SLO, " + time_text(*slo) : "", *chart);
    }
    out_ += "</div>\n";
    HtmlTable table;
    table.head = {"latency", "run", "mean", "p50", "p90", "p95", "p99", "max"};
    const std::pair<const char*, const char*> kinds[] = {{"queue_s", "waiting"},
                                                         {"ttft_s", "first token (TTFT)"},
                                                         {"tpot_s", "per further token (TPOT)"},
                                                         {"itl_s", "between tokens (ITL)"},
                                                         {"e2el_s", "whole answer (E2EL)"},
                                                         {"normalized_s_per_token", "E2EL per output token"}};
    for (const auto& [field, label] : kinds)
      for (std::size_t i = 0; i < runs_.size(); ++i) {
        std::vector<Cell> row{Cell{label}, Cell{runs_[i].name}};
        for (const char* part : {"mean", "p50", "p90", "p95", "p99", "max"}) {
          const double v = number(i, fmt::format("latency.{}.{}", field, part));
          row.push_back(number_cell(v, time_text(v)));
        }
        table.rows.push_back(std::move(row));
      }
    out_ += html_of(table) + "</section>\n";
  }

  void queues() {
    out_ +=
        "<section id=\"queues\"><h2>Batch and queue over time</h2>\n"
        "<p class=\"soft\">Lines are averages, bands reach from the smallest to the largest value.</p><div "
        "class=\"grid\">\n";
    for (const RecordedRun& run : runs_)
      out_ += figures_.add(runs_.size() > 1 ? run.name : "Requests running and waiting", "",
                           queue_chart(run, runs_.size() == 1));
    out_ += "</div></section>\n";
  }

  void time() {
    out_ += "<section id=\"time\"><h2>Where the time of the steps went</h2>\n";
    const BarPart parts[] = {{"matrix products", "--blue", 0}, {"attention", "--orange", 0},
                             {"elementwise", "--yellow", 0},   {"cache copies", "--vermilion", 0},
                             {"communication", "--pink", 0},   {"host, GPU idle", "--line", 0}};
    const char* paths[] = {"gemm_s", "attention_s", "elementwise_s", "cache_copy_s", "communication_s", "host_s"};
    std::vector<std::pair<std::string, std::string>> legend;
    for (const BarPart& part : parts) legend.emplace_back(part.colour, part.label);
    out_ += legend_html(legend);
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      std::vector<BarPart> own(std::begin(parts), std::end(parts));
      double all = 0;
      for (std::size_t k = 0; k < own.size(); ++k)
        all += own[k].share = number(i, std::string("time_breakdown.") + paths[k]);
      if (!(all > 0)) continue;
      for (BarPart& part : own) part.share /= all;
      out_ += bar_html(runs_.size() > 1 ? runs_[i].name : "", own);
    }
    out_ += "</section>\n";
  }

  void slowest() {
    constexpr std::size_t kRows = 15;
    out_ += fmt::format(
        "<section id=\"requests\"><h2>The slowest requests</h2>\n<p class=\"soft\">The {} longest answers of each "
        "run; all of them are in <code>requests.csv</code>.</p>\n",
        kRows);
    for (const RecordedRun& run : runs_) {
      const std::vector<double> whole = latencies(run, Latency::kE2el), ttft = latencies(run, Latency::kTtft);
      std::vector<std::size_t> order;
      for (std::size_t i = 0; i < whole.size(); ++i)
        if (!std::isnan(whole[i])) order.push_back(i);
      const std::size_t n = std::min(kRows, order.size());
      std::partial_sort(
          order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
          [&](std::size_t a, std::size_t b) { return whole[a] != whole[b] ? whole[a] > whole[b] : a < b; });
      HtmlTable table;
      table.head = {"request", "arrived", "waiting", "TTFT", "E2EL", "prompt tokens", "output tokens", "preemptions"};
      const RecordedTable& r = run.requests;
      for (std::size_t k = 0; k < n; ++k) {
        const std::size_t i = order[k];
        const double waited = r["scheduled_s"][i] - r["arrival_s"][i];
        const auto plain = [&](const char* column) {
          return number_cell(r[column][i], fmt::format("{:.0f}", r[column][i]));
        };
        table.rows.push_back({plain("id"), number_cell(r["arrival_s"][i], time_text(r["arrival_s"][i])),
                              number_cell(waited, time_text(waited)), number_cell(ttft[i], time_text(ttft[i])),
                              number_cell(whole[i], time_text(whole[i])), plain("prompt_tokens"),
                              plain("output_tokens"), plain("preemptions")});
      }
      if (runs_.size() > 1)
        out_ += "<details><summary>" + escaped(run.name) + "</summary>" + html_of(table) + "</details>\n";
      else
        out_ += html_of(table);
    }
    out_ += "</section>\n";
  }

  void sources() {
    out_ += "<section id=\"sources\"><h2>What the times rest on</h2>\n";
    std::vector<std::string> done;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      const Provenance& p = provenance_[i];
      const std::string card = runs_[i].summary.text("prediction.hardware");
      if (std::find(done.begin(), done.end(), card) != done.end()) continue;
      done.push_back(card);
      if (p.device.empty()) {
        out_ += "<p>The hardware profile could not be read again: " + escaped(p.problem) + "</p>\n";
        continue;
      }
      std::map<std::string, int> count;
      for (const HardwareFact& fact : p.facts) ++count[fact.evidence];
      std::string counts;
      for (const auto& [word, n] : count) counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", n, word);
      out_ += fmt::format(
          "<p><b>{}</b>, profile <code>{}</code>, as a whole {}: {}. Of its {} facts: {}.</p><p "
          "class=\"soft\">{}</p>\n",
          escaped(p.device), escaped(card), escaped(p.evidence), escaped(p.source), p.facts.size(), escaped(counts),
          escaped(state_of_inputs(runs_[i])));
      HtmlTable table;
      table.head = {"fact", "value", "evidence", "source"};
      for (const HardwareFact& fact : p.facts)
        table.rows.push_back({Cell{fact.name}, Cell{fact.value}, Cell{fact.evidence}, Cell{fact.source}});
      out_ += "<details><summary>Every fact with its source</summary>" + html_of(table, true) + "</details>\n";
    }
    out_ += "</section>\n";
  }

  void scenarios() {
    out_ +=
        "<section id=\"scenario\"><h2>The resolved scenario</h2>\n<p class=\"soft\">Every key written out; "
        "<code>headroom run</code> on this text gives the run again.</p>\n";
    for (std::size_t i = 0; i < runs_.size(); ++i)
      out_ += fmt::format("<details{}><summary>{}</summary><pre>{}</pre></details>\n", runs_.size() == 1 ? " open" : "",
                          escaped(runs_[i].name), escaped(runs_[i].scenario));
    out_ += "</section>\n";
  }

  std::span<const RecordedRun> runs_;
  std::vector<Leaves> leaves_;
  std::vector<Provenance> provenance_;
  Figures figures_;
  std::string out_;
};

}  // namespace

std::string run_report(std::span<const RecordedRun> runs) {
  return RunReport(runs).html();
}

}  // namespace headroom
