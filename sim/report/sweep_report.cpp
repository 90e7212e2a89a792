#include "sim/report/sweep_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/output/texts.h"
#include "sim/report/figures.h"
#include "sim/report/html.h"
#include "sim/report/metrics.h"
#include "sim/report/page.h"
#include "sim/report/sweep_charts.h"
#include "sim/report/sweep_grid.h"

namespace headroom {
namespace {

constexpr std::size_t kMostSeries = 12, kMostMaps = 4, kMostRows = 2000;

const Metric& metric(std::string_view path) {
  return *metric_at(path);
}

class SweepReport {
 public:
  explicit SweepReport(const SweepResults& sweep) : sweep_(sweep), grid_(grid_of(sweep)) {
    for (const SweepPointResult& p : sweep.points) failed_ += p.failed ? 1 : 0;
  }

  std::string html() {
    heading();
    answer();
    if (!grid_.cells.empty()) {
      curves();
      maps();
      lines();
      points();
    }
    failures();
    files();
    out_ += fmt::format(
        "<footer>Made by headroom {} from what it simulated; nothing on this page was measured on a GPU "
        "unless it says so.</footer>\n",
        escaped(sweep_.version));
    return page_html(sweep_.name, figures_.into(out_));
  }

 private:
  void heading() {
    out_ += "<header><p class=\"kicker\">Headroom sweep</p>\n<h1>" + escaped(sweep_.name) + "</h1>\n";
    std::string over;
    for (const GridAxis& d : grid_.dimensions)
      over += fmt::format("{}<code>{}</code> ({})", over.empty() ? "" : ", ", escaped(d.label), d.words.size());
    const auto seeds = grid_.cells.empty() ? 0 : grid_.cells.front().seeds;
    out_ += fmt::format("<p class=\"lede\">{} of {} points{}{}{}.</p>\n", sweep_.points.size(), sweep_.planned,
                        over.empty() ? "" : " over " + over, seeds > 1 ? fmt::format(", {} seeds each", seeds) : "",
                        failed_ > 0 ? fmt::format("; {} could not run", failed_) : "");
    out_ += "<nav aria-label=\"sections\">";
    if (!grid_.cells.empty()) {
      if (load_dimension()) out_ += "<a href=\"#curves\">Throughput and latency</a>";
      if (grid_.dimensions.size() > 1) out_ += "<a href=\"#maps\">Maps</a>";
      out_ += "<a href=\"#lines\">Axis by axis</a><a href=\"#points\">Points</a>";
    }
    if (failed_ > 0) out_ += "<a href=\"#failed\">What could not run</a>";
    out_ += "<a href=\"#files\">Sweep and scenario</a></nav></header>\n";
  }

  void answer() {
    out_ += "<section id=\"answer\" aria-label=\"what happened and how sure\">\n";
    trust();
    out_ += "<div class=\"cards\">\n";
    best("Most output tokens/s", "throughput.output_tokens_per_s");
    best("Shortest first token, p99", "latency.ttft_s.p99");
    best("Shortest further token, p99", "latency.tpot_s.p99");
    best("Cheapest output", "cost.usd_per_million_output_tokens");
    if (varies("goodput.fraction")) best("Most within the SLO, requests/s", "goodput.requests_per_s");
    out_ += "</div></section>\n";
  }

  bool varies(std::string_view path) const {
    return std::any_of(grid_.cells.begin(), grid_.cells.end(),
                       [&](const GridCell& c) { return c.mean(path) != grid_.cells.front().mean(path); });
  }

  void trust() {
    const auto rank = [](const std::string& word) {
      return word == "measured" ? 0 : word == "mixed" ? 1 : word == "fitted" ? 2 : 3;
    };
    const SweepPointResult* worst = nullptr;
    const auto provenance = [](const SweepPointResult& p) {
      const auto at = p.texts.find("prediction_provenance");
      return at != p.texts.end() ? at->second : std::string("datasheet");
    };
    for (const SweepPointResult& p : sweep_.points)
      if (!p.failed && (worst == nullptr || rank(provenance(p)) > rank(provenance(*worst)))) worst = &p;
    if (worst == nullptr) {
      out_ += "<div class=\"trust datasheet\"><b>No point is done</b></div>\n";
      return;
    }
    const std::string word = provenance(*worst);
    const auto card = worst->texts.find("prediction_hardware");
    const auto outside = worst->figures.find("prediction_extrapolated_time_fraction");
    out_ += fmt::format("<div class=\"trust {0}\"><b>How sure, at the least: {0}</b><p>{1}</p></div>\n", escaped(word),
                        escaped(trust_text(word, card != worst->texts.end() ? card->second : "the card",
                                           outside != worst->figures.end() ? outside->second : 1)));
  }

  void best(const std::string& title, std::string_view path) {
    const Metric& m = metric(path);
    const GridCell* found = nullptr;
    for (const GridCell& cell : grid_.cells) {
      const double v = cell.mean(path);
      if (std::isnan(v) || cell.mean("requests.completed") <= 0) continue;
      if (found == nullptr || (m.better == Better::kHigher ? v > found->mean(path) : v < found->mean(path)))
        found = &cell;
    }
    if (found == nullptr) return;
    const GridCell::Figure* f = found->figure(path);
    const std::string range =
        found->seeds > 1 ? fmt::format("{} to {} over seeds", text_of(m, f->low), text_of(m, f->high)) : "";
    out_ += fmt::format(
        "<article class=\"card\"><h3>{}</h3><dl><div><dt>{}</dt><dd>{}{}</dd></div></dl><p>{}</p></article>\n",
        escaped(title), escaped(m.label), escaped(text_of(m, f->mean)),
        range.empty() ? "" : "<small>" + escaped(range) + "</small>", escaped(grid_.name_of(*found)));
  }

  static std::string legend(const std::vector<Series>& series) {
    if (series.size() < 2) return "";
    std::vector<std::pair<std::string, std::string>> entries;
    for (std::size_t i = 0; i < series.size(); ++i)
      entries.emplace_back(std::string(kPalette[i % kSeriesColours].variable),
                           series[i].name + (i >= kSeriesColours ? " (dashed)" : ""));
    return legend_html(entries);
  }
  std::size_t num_series(std::size_t along) const {
    std::size_t n = 1;
    for (std::size_t d = 0; d < grid_.dimensions.size(); ++d) n *= d == along ? 1 : grid_.dimensions[d].words.size();
    return n;
  }
  std::string cut(std::size_t along) const {
    return num_series(along) > kMostSeries
               ? fmt::format("<p class=\"soft\">{} of {} lines, evenly chosen; all points are in the table.</p>\n",
                             kMostSeries, num_series(along))
               : "";
  }

  // The dimension that loads the system: a rate or users, else the first with numbers.
  std::optional<std::size_t> load_dimension() const {
    std::optional<std::size_t> first;
    for (std::size_t d = 0; d < grid_.dimensions.size(); ++d) {
      const GridAxis& axis = grid_.dimensions[d];
      if (axis.numbers.empty()) continue;
      if (axis.label.ends_with(".rate") || axis.label.ends_with(".users")) return d;
      if (!first) first = d;
    }
    return first;
  }

  void curves() {
    const auto along = load_dimension();
    if (!along) return;
    const std::vector<Series> series = series_along(grid_, *along, kMostSeries);
    out_ += fmt::format(
        "<section id=\"curves\"><h2>Throughput and latency</h2>\n<p class=\"soft\">Each line goes along "
        "<code>{}</code>; the "
        "best corner is at the bottom right.</p>\n{}{}<div class=\"grid\">\n",
        escaped(grid_.dimensions[*along].label), cut(*along), legend(series));
    for (const char* y : {"latency.ttft_s.p99", "latency.tpot_s.p99"})
      if (const auto chart = curve_chart(series, metric("throughput.output_tokens_per_s"), metric(y)))
        out_ += figures_.add(std::string(metric(y).label) + " over output tokens/s", "", *chart);
    out_ += "</div></section>\n";
  }

  void maps() {
    if (grid_.dimensions.size() < 2) return;
    // The two longest dimensions lie in the map, the others stand in its title.
    std::vector<std::size_t> order(grid_.dimensions.size());
    for (std::size_t d = 0; d < order.size(); ++d) order[d] = d;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return grid_.dimensions[a].words.size() > grid_.dimensions[b].words.size();
    });
    const std::size_t across = order[0], down = order[1];
    std::vector<std::vector<std::size_t>> rests;
    for (const GridCell& cell : grid_.cells) {
      std::vector<std::size_t> rest = cell.at;
      rest[across] = rest[down] = 0;
      if (std::find(rests.begin(), rests.end(), rest) == rests.end()) rests.push_back(rest);
    }
    out_ += "<section id=\"maps\"><h2>Maps</h2>\n";
    if (rests.size() > kMostMaps)
      out_ += fmt::format("<p class=\"soft\">The first {} of {}; all points are in the table.</p>\n", kMostMaps,
                          rests.size());
    for (std::size_t i = 0; i < std::min(rests.size(), kMostMaps); ++i) {
      if (rests.size() > 1) {
        std::string where;
        for (std::size_t d = 0; d < grid_.dimensions.size(); ++d)
          if (d != across && d != down) where += (where.empty() ? "" : ", ") + grid_.dimensions[d].words[rests[i][d]];
        out_ += "<h3>" + escaped(where) + "</h3>\n";
      }
      out_ += "<div class=\"grid\">\n";
      for (const char* path : {"throughput.output_tokens_per_s", "latency.ttft_s.p99", "latency.tpot_s.p99",
                               "memory.waste.token_states", "cost.usd_per_million_output_tokens", "goodput.fraction"}) {
        if (!varies(path)) continue;
        if (const auto chart = heat_map(grid_, across, down, rests[i], metric(path)))
          out_ += figures_.add(std::string(metric(path).label), "darker: more", *chart);
      }
      out_ += "</div>\n";
    }
    out_ += "</section>\n";
  }

  void lines() {
    out_ += "<section id=\"lines\"><h2>Axis by axis</h2>\n";
    for (std::size_t d = 0; d < grid_.dimensions.size(); ++d) {
      const std::vector<Series> series = series_along(grid_, d, kMostSeries);
      out_ += fmt::format("<h3><code>{}</code></h3>\n{}{}<div class=\"grid\">\n", escaped(grid_.dimensions[d].label),
                          cut(d), legend(series));
      for (const char* path :
           {"throughput.output_tokens_per_s", "latency.ttft_s.p99", "latency.tpot_s.p50", "memory.waste.token_states"})
        if (const auto chart = figure_chart(grid_, d, series, metric(path)))
          out_ += figures_.add(std::string(metric(path).label), "", *chart);
      out_ += "</div>\n";
    }
    out_ += "</section>\n";
  }

  void points() {
    HtmlTable table;
    const bool seeds = grid_.cells.front().seeds > 1;
    table.caption = seeds ? "Averages over seeds; a click on a heading sorts." : "A click on a heading sorts.";
    for (const GridAxis& d : grid_.dimensions) table.head.push_back(d.label);
    if (table.head.empty()) table.head.push_back("point");
    const char* paths[] = {"requests.completed",    "throughput.requests_per_s", "throughput.output_tokens_per_s",
                           "goodput.fraction",      "latency.ttft_s.p50",        "latency.ttft_s.p99",
                           "latency.tpot_s.p50",    "latency.tpot_s.p99",        "scheduler.mean_batch",
                           "scheduler.preemptions", "memory.waste.token_states", "cost.usd_per_million_output_tokens"};
    for (const char* path : paths) table.head.emplace_back(metric(path).label);
    for (const GridCell& cell : grid_.cells) {
      if (table.rows.size() == kMostRows) break;
      std::vector<Cell> row;
      for (std::size_t d = 0; d < grid_.dimensions.size(); ++d) {
        const GridAxis& axis = grid_.dimensions[d];
        row.push_back(axis.numbers.empty() ? Cell{axis.words[cell.at[d]]}
                                           : number_cell(axis.numbers[cell.at[d]], axis.words[cell.at[d]]));
      }
      if (row.empty()) row.push_back(Cell{"0"});
      for (const char* path : paths)
        row.push_back(number_cell(cell.mean(path), text_of(metric(path), cell.mean(path))));
      table.rows.push_back(std::move(row));
    }
    out_ += "<section id=\"points\"><h2>Every point</h2>\n";
    if (grid_.cells.size() > kMostRows)
      out_ +=
          fmt::format("<p>The first {} of {}; all of them are in the database.</p>\n", kMostRows, grid_.cells.size());
    out_ += html_of(table) + "</section>\n";
  }

  void failures() {
    if (failed_ == 0) return;
    std::map<std::string, std::pair<int, std::int64_t>> messages;  // how often, first point
    for (const SweepPointResult& p : sweep_.points)
      if (p.failed) {
        auto& entry = messages.try_emplace(p.message, 0, p.id).first->second;
        ++entry.first;
      }
    HtmlTable table;
    table.head = {"message", "points", "first"};
    for (const auto& [message, entry] : messages)
      table.rows.push_back({Cell{message}, number_cell(entry.first, std::to_string(entry.first)),
                            number_cell(static_cast<double>(entry.second), std::to_string(entry.second))});
    out_ += "<section id=\"failed\"><h2>What could not run</h2>\n" + html_of(table, true) + "</section>\n";
  }

  void files() {
    out_ += fmt::format(
        "<section id=\"files\"><h2>The sweep and its "
        "scenario</h2>\n<details><summary>sweep</summary><pre>{}</pre></details>\n"
        "<details><summary>scenario</summary><pre>{}</pre></details></section>\n",
        escaped(sweep_.definition), escaped(sweep_.scenario));
  }

  const SweepResults& sweep_;
  SweepGrid grid_;
  std::size_t failed_ = 0;
  Figures figures_;
  std::string out_;
};

}  // namespace

std::string sweep_report(const SweepResults& sweep) {
  return SweepReport(sweep).html();
}

}  // namespace headroom
