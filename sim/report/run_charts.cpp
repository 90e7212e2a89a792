// A timeline is a step function for each replica. Charts of it have kBins columns: states of slots are averaged over a
// column's time and added over replicas; of queues the smallest and largest value of a column are kept as well.
#include "sim/report/run_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace headroom {
namespace {

constexpr int kBins = 240;

struct TimeAxis {
  double scale = 1;  // seconds a unit
  const char* label = "time, s";
};
TimeAxis axis_for(double duration) {
  if (duration >= 3 * 3600) return {3600, "time, h"};
  if (duration >= 300) return {60, "time, min"};
  if (duration < 1) return {1e-3, "time, ms"};
  return {};
}

double end_of(const RecordedRun& run) {
  const std::vector<double>& time = run.timeline["time_s"];
  return std::max({run.summary.number("duration_s"), time.empty() ? 0 : time.back(), 1e-9});
}

struct Column {
  double mean = 0;
  double low = std::numeric_limits<double>::infinity(), high = 0;
};

// The column of timeline.csv, over time; low and high are sums over replicas of each one's extreme in the bin.
std::vector<Column> binned(const RecordedRun& run, std::string_view name, double end) {
  const RecordedTable& t = run.timeline;
  const std::vector<double>&time = t["time_s"], &replica = t["replica"], &value = t[name];
  std::map<double, std::vector<std::size_t>> rows;  // of each replica, in order of time
  for (std::size_t i = 0; i < t.rows(); ++i) rows[replica[i]].push_back(i);
  std::vector<Column> all(kBins);
  for (Column& c : all) c.low = 0;
  const double width = end / kBins;
  for (const auto& [id, own] : rows) {
    std::vector<Column> bins(kBins);
    for (std::size_t k = 0; k < own.size(); ++k) {
      const double from = time[own[k]], until = k + 1 < own.size() ? time[own[k + 1]] : end, v = value[own[k]];
      for (int b = std::clamp(static_cast<int>(from / width), 0, kBins - 1); b < kBins && b * width <= until; ++b) {
        const double overlap = std::min(until, (b + 1) * width) - std::max(from, b * width);
        Column& c = bins[static_cast<std::size_t>(b)];
        c.mean += v * std::max(0.0, overlap) / width;
        c.low = std::min(c.low, v);
        c.high = std::max(c.high, v);
      }
    }
    for (std::size_t b = 0; b < all.size(); ++b) {
      all[b].mean += bins[b].mean;
      all[b].low += std::isfinite(bins[b].low) ? bins[b].low : 0;
      all[b].high += bins[b].high;
    }
  }
  return all;
}

std::string number(double value) {
  return fmt::format("{:.5g}", value);
}

}  // namespace

std::string rgb_of(std::string_view variable) {
  for (const Colour& c : kPalette)
    if (c.variable == variable) return std::string(c.rgb);
  return "#000000";
}

PlotScript ledger_chart(const RecordedRun& run, bool alone) {
  const double end = end_of(run);
  const TimeAxis axis = axis_for(end);
  std::vector<double> below(kBins, 0);
  std::string columns[kBins];
  for (const SlotState& state : kSlotStates) {
    const std::vector<Column> bins = binned(run, state.field, end);
    for (std::size_t b = 0; b < kBins; ++b) {
      below[b] += bins[b].mean;
      columns[b] += " " + number(below[b]);
    }
  }
  PlotScript script;
  script.data = "$ledger << END\n";
  for (std::size_t b = 0; b < kBins; ++b)  // each bin as a flat step
    for (const double edge : {0.0, 1.0})
      script.data +=
          fmt::format("{} 0{}\n", number((static_cast<double>(b) + edge) * end / kBins / axis.scale), columns[b]);
  script.data += "END\n";
  script.body = fmt::format(
      "set xrange [0:{}]\nset yrange [0:*]\nset format y '%.0s%c'\nset xlabel '{}'\nset ylabel 'KV slots, tokens'\n"
      "set style fill solid 1 noborder\nset grid front\nplot ",
      number(end / axis.scale), axis.label);
  for (std::size_t i = 0; i < kSlotStates.size(); ++i)
    script.body += fmt::format("{}$ledger using 1:{}:{} with filledcurves fc rgb '{}'", i == 0 ? "" : ", ", i + 2,
                               i + 3, rgb_of(kSlotStates[i].colour));
  if (alone) script.wide_width = 1120;
  return script;
}

PlotScript queue_chart(const RecordedRun& run, bool alone) {
  const double end = end_of(run);
  const TimeAxis axis = axis_for(end);
  const std::vector<Column> running = binned(run, "running", end), waiting = binned(run, "waiting", end);
  PlotScript script;
  script.data = "$queue << END\n";
  for (std::size_t b = 0; b < kBins; ++b) {
    const Column &r = running[b], &w = waiting[b];
    script.data +=
        fmt::format("{} {} {} {} {} {} {}\n", number((static_cast<double>(b) + 0.5) * end / kBins / axis.scale),
                    number(r.mean), number(r.low), number(r.high), number(w.mean), number(w.low), number(w.high));
  }
  script.data += "END\n";
  const auto panel = [](const char* label, const std::vector<Column>& columns, int mean, const char* rgb) {
    double most = 0;
    for (const Column& c : columns) most = std::max(most, c.high);
    return fmt::format(
        "set ylabel '{0}'\nset format y '{5}'\n"
        "plot $queue using 1:{2}:{3} with filledcurves fc rgb '{4}' fs transparent solid 0.25 noborder, "
        "$queue using 1:{1} with lines lw 1.6 lc rgb '{4}'\n",
        label, mean, mean + 1, mean + 2, rgb, most < 1000 ? "%g" : "%.0s%c");
  };
  script.body = fmt::format(
      "set xrange [0:{}]\nset yrange [0:1<*]\nset lmargin 9\nset multiplot layout 2,1\n{}set xlabel '{}'\n{}"
      "unset multiplot",
      number(end / axis.scale), panel("running", running, 2, "#0072b2"), axis.label,
      panel("waiting", waiting, 5, "#e69f00"));
  script.wide_height = script.narrow_height = 330;
  if (alone) script.wide_width = 1120;
  return script;
}

std::string time_tics(double low, double high) {
  struct Mark {
    double seconds;
    std::string text;
    bool decade;
  };
  std::vector<Mark> marks;
  constexpr std::pair<double, const char*> kUnits[] = {{1e-6, "us"}, {1e-3, "ms"}, {1, "s"}, {60, "min"}, {3600, "h"}};
  for (std::size_t u = 0; u < std::size(kUnits); ++u)
    for (const int n : {1, 2, 5, 10, 20, 50, 100, 200, 500}) {
      const double seconds = n * kUnits[u].first;
      if (u + 1 < std::size(kUnits) && seconds >= kUnits[u + 1].first) break;
      if (seconds >= low && seconds <= high)
        marks.push_back({seconds, fmt::format("{} {}", n, kUnits[u].second), n == 1 || n == 10 || n == 100});
    }
  const bool only_decades = high / low > 30;
  std::string out;
  for (const Mark& mark : marks)
    if (!only_decades || mark.decade)
      out += fmt::format("{}'{}' {}", out.empty() ? "(" : ", ", mark.text, number(mark.seconds));
  return out.empty() ? "autofreq" : out + ")";
}

std::vector<double> latencies(const RecordedRun& run, Latency which) {
  const RecordedTable& r = run.requests;
  const std::vector<double>&arrival = r["arrival_s"], &first = r["first_token_s"], &finish = r["finish_s"],
        &tokens = r["output_tokens"];
  std::vector<double> values(r.rows(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (r.texts()[i] != "finished") continue;
    if (which == Latency::kTtft) values[i] = first[i] - arrival[i];
    if (which == Latency::kE2el) values[i] = finish[i] - arrival[i];
    const double own = std::floor(tokens[i] / static_cast<double>(run.samples));  // of one answer
    if (which == Latency::kTpot && own > 1) values[i] = (finish[i] - first[i]) / (own - 1);
  }
  return values;
}

std::optional<PlotScript> latency_chart(std::span<const RecordedRun> runs, Latency which, std::optional<double> bound) {
  constexpr double kLeast = 1e-4;  // the axis is logarithmic
  PlotScript script;
  std::string plots;
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::vector<double> values = latencies(runs[i], which);
    std::erase_if(values, [](double v) { return std::isnan(v); });
    if (values.empty()) continue;
    std::sort(values.begin(), values.end());
    low = std::min(low, std::max(kLeast, values.front()));
    high = std::max(high, std::max(kLeast, values.back()));
    script.data += fmt::format("$run{} << END\n{} 0\n", i, number(std::max(kLeast, values.front())));
    const std::size_t points = std::min<std::size_t>(values.size(), 200);
    for (std::size_t k = 1; k <= points; ++k) {
      const std::size_t rank = k * values.size() / points;
      script.data += fmt::format("{} {}\n", number(std::max(kLeast, values[rank - 1])),
                                 number(100 * static_cast<double>(rank) / static_cast<double>(values.size())));
    }
    script.data += "END\n";
    plots += fmt::format(", $run{} using 1:2 with lines lw 2 dt {} lc rgb '{}'", i, 1 + i / kSeriesColours,
                         kPalette[i % kSeriesColours].rgb);
  }
  if (plots.empty()) return std::nullopt;
  if (bound) {
    low = std::min(low, *bound);
    high = std::max(high, *bound);
    script.body += fmt::format("set arrow from {0},0 to {0},100 nohead dt 2 lw 1.2 lc rgb '#20242a'\n", number(*bound));
  }
  const double room = std::max(1.01, std::pow(high / low, 0.03));  // all alike: an axis all the same
  script.body += fmt::format(
      "set logscale x\nset xrange [{}:{}]\nset yrange [0:100]\nset format y '%.0f %%'\n"
      "set xtics {}\nset grid xtics ytics\nset ylabel 'of requests, at or below'\nplot {}",
      number(low / room), number(high * room), time_tics(low / room, high * room), plots.substr(2));
  return script;
}

}  // namespace headroom
