#include "sim/output/numerics_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace headroom {
namespace {

// Rows of cells: the first column flush left, the others flush right.
class Columns {
 public:
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text(bool colour) const {
    std::vector<std::size_t> width;
    for (const auto& cells : rows_)
      for (std::size_t i = 0; i < cells.size(); ++i) {
        if (i >= width.size()) width.push_back(0);
        width[i] = std::max(width[i], cells[i].size());
      }
    std::string out;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      std::string line;
      for (std::size_t i = 0; i < rows_[r].size(); ++i)
        line += i == 0 ? fmt::format("{:<{}}", rows_[r][i], width[i]) : fmt::format("  {:>{}}", rows_[r][i], width[i]);
      while (line.ends_with(' ')) line.pop_back();
      out += colour && r == 0 ? "\x1b[1m" + line + "\x1b[0m\n" : line + "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string db_text(double db) {
  return std::isinf(db) && db > 0 ? "exact" : fmt::format("{:.1f} dB", db);
}
std::string bytes_text(Bytes size) {
  const auto bytes = static_cast<double>(size.count());
  if (bytes < 1024) return fmt::format("{} B", size.count());
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", bytes / 1024);
  if (bytes < static_cast<double>(kGiB)) return fmt::format("{:.1f} MiB", bytes / (1024 * 1024));
  return fmt::format("{:.2f} GiB", bytes / static_cast<double>(kGiB));
}
std::string span_text(Seconds time) {
  return time.count() < 1e-3 ? fmt::format("{:.3g} us", time.count() * 1e6)
                             : fmt::format("{:.3g} ms", time.count() * 1e3);
}
std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}
// Names are the file's: control characters must not reach a terminal.
std::string printable(std::string name) {
  for (char& c : name)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  return name;
}
std::string channels_text(const std::vector<ChannelTally>& worst) {
  std::string text;
  for (const ChannelTally& c : worst)
    text += fmt::format("{}{} ({})", text.empty() ? "" : " ", c.channel,
                        c.tally.overflow > 0 ? fmt::format("{} lost", c.tally.overflow) : db_text(c.tally.sqnr_db()));
  return text;
}

// Those that break first, then by SQNR.
std::vector<const TensorReport*> worst_first(const CastReport& report) {
  std::vector<const TensorReport*> order;
  for (const TensorReport& t : report.tensors) order.push_back(&t);
  std::stable_sort(order.begin(), order.end(), [](const TensorReport* a, const TensorReport* b) {
    if (a->breaks != b->breaks) return a->breaks;
    if (a->tally.overflow != b->tally.overflow) return a->tally.overflow > b->tally.overflow;
    return a->tally.sqnr_db() < b->tally.sqnr_db();
  });
  return order;
}

std::string remedy_table(const CastReport& report, const std::optional<CastCosts>& costs, bool colour) {
  const std::vector<Remedy> list = remedies(report);
  Columns table;
  std::vector<std::string> head{"what to do", "bytes", "more", "worst of those"};
  if (costs) head.insert(head.end(), {"of the card", "read once"});
  const bool kv = costs && costs->kv_per_token;
  if (kv) head.emplace_back("KV tokens less");
  table.row(head);
  for (const Remedy& r : list) {
    const Bytes more = r.bytes - list.front().bytes;
    std::vector<std::string> cells{r.name, bytes_text(r.bytes), more.count() == 0 ? "-" : bytes_text(more),
                                   r.worst_sqnr_db ? db_text(*r.worst_sqnr_db) : "values lost"};
    if (costs) {
      cells.push_back(fmt::format("{:.3g} %", 100 * (r.bytes / costs->hardware.memory)));
      cells.push_back(span_text(costs->read_time(r.bytes)));
    }
    if (kv)
      cells.push_back(fmt::format("{} of {}",
                                  (more.count() + costs->kv_per_token->count() - 1) / costs->kv_per_token->count(),
                                  costs->kv_pool_tokens.count()));
    table.row(cells);
  }
  return table.text(colour);
}

std::string quality_row(const TaskQuality& q) {
  return q.clipped > 0 ? fmt::format("{} {:.2g} %", db_text(q.sqnr_db), 100 * q.clipped) : db_text(q.sqnr_db);
}
std::vector<std::string> quality_cells(const RangeQuality& q, std::vector<std::string> cells) {
  for (const TaskQuality& task : q.tasks) cells.push_back(quality_row(task));
  cells.push_back(db_text(q.worst_sqnr_db));
  return cells;
}

}  // namespace

Seconds CastCosts::read_time(Bytes bytes) const {
  return Seconds{static_cast<double>(bytes.count()) /
                 (hardware.memory_bandwidth.rate() * hardware.gemm_memory_efficiency)};
}

std::string cast_table(const CastReport& report, const std::optional<CastCosts>& costs, std::size_t rows, bool colour) {
  const CastOptions& o = report.options;
  const std::string to(entry_of(o.to).name);
  std::string out = fmt::format("{} tensors to {}{}: {} to {}\n", report.tensors.size(), to,
                                o.overflow == Overflow::kSaturate ? ", saturating" : "", bytes_text(report.stored),
                                bytes_text(report.converted));
  if (!report.not_read.empty())
    out += fmt::format("{} tensors hold no floating-point numbers and stay as they are ({})\n", report.not_read.size(),
                       bytes_text(report.other));
  const auto kept = std::count_if(report.tensors.begin(), report.tensors.end(), [](const auto& t) { return t.kept; });
  if (kept > 0) out += fmt::format("{} tensors stay as stored: vectors, and what --keep names\n", kept);
  const Tally& all = report.total;
  if (all.not_finite > 0) out += fmt::format("{} values were infinite or NaN before\n", all.not_finite);

  Columns table;
  table.row({"", "type", "shape", "largest", "smallest", "overflow", "to zero", "subnormal", "SQNR", "relative error",
             "worst channels"});
  const auto line = [&](const std::string& name, const std::string& type, const std::string& shape, const Tally& t,
                        const std::string& channels) {
    table.row({name, type, shape, fmt::format("{:.5g}", t.largest), fmt::format("{:.3g}", t.smallest),
               std::to_string(t.overflow), std::to_string(t.underflow), std::to_string(t.subnormal),
               db_text(t.sqnr_db()), fmt::format("{:.2g}", t.mean_relative_error()), channels});
  };
  std::size_t shown = 0;
  for (const TensorReport* t : worst_first(report)) {
    if (t->kept) continue;
    if (rows > 0 && shown == rows) break;
    ++shown;
    line((t->breaks ? "! " : "  ") + printable(t->name), t->type_name, shape_text(t->shape), t->tally,
         channels_text(t->worst));
  }
  line("  all", "", fmt::format("{} values", all.values), all, "");
  out += table.text(colour);
  const std::size_t converted = report.tensors.size() - static_cast<std::size_t>(kept);
  if (shown < converted) out += fmt::format("  the worst {} of {} tensors; --top 0 shows all\n", shown, converted);

  if (report.num_broken() == 0) {
    out += fmt::format("\nno tensor breaks: nothing overflows, every SQNR is at least {:g} dB\n", o.min_sqnr_db);
    if (costs) out += remedy_table(report, costs, colour);
    return out;
  }
  out += fmt::format("\n{} tensors break (!): a value overflows, or the SQNR is below {:g} dB\n", report.num_broken(),
                     o.min_sqnr_db);
  return out + remedy_table(report, costs, colour);
}

std::string calibration_table(const CalibrationReport& report, bool colour) {
  const CalibrationOptions& o = report.options;
  const std::string to(entry_of(o.quantization.to).name);
  std::string out =
      fmt::format("static quantization to {}: SQNR and clipped values of held-out samples, by task\n", to);
  std::vector<std::string> tasks;
  for (std::size_t i = 0; i < report.tasks.size(); ++i)
    tasks.push_back(report.pool[i] == 0 ? report.tasks[i] + " (judged only)"
                    : report.kept[i]    ? report.tasks[i]
                                        : report.tasks[i] + " (not kept)");
  const auto head = [&](std::vector<std::string> cells) {
    cells.insert(cells.end(), tasks.begin(), tasks.end());
    cells.emplace_back("worst kept");
    return cells;
  };
  Columns observers;
  observers.row(head({"observer", "scales", "clip"}));
  for (const RangeQuality& q : report.observers)
    observers.row(quality_cells(
        q, {q.name, fmt::format("per {}", name_of(q.granularity)), q.clip > 0 ? fmt::format("{:.4g}", q.clip) : "-"}));
  out += fmt::format("\nobservers, on a stratified set of {} samples\n", report.observers.front().set_size) +
         observers.text(colour);
  Columns sets;
  sets.row(head({"calibration set", "samples", "clip"}));
  for (const RangeQuality& q : report.sets)
    sets.row(quality_cells(q, {q.name, std::to_string(q.set_size), fmt::format("{:.4g}", q.clip)}));
  out += fmt::format("\ncalibration sets, {} per tensor, mean of {} draws\n", name_of(o.observer), o.draws) +
         sets.text(colour);
  Columns sizes;
  std::vector<std::string> row{"worst kept task, dB"};
  std::vector<std::int64_t> columns;
  for (const RangeQuality& q : report.sizes) columns.push_back(q.set_size);
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  for (const std::int64_t n : columns) row.push_back(std::to_string(n));
  row.emplace_back("enough");
  sizes.row(row);
  for (const auto& stop : report.stops_helping) {
    row = {stop.first};
    for (const std::int64_t n : columns) {
      const auto at = std::find_if(report.sizes.begin(), report.sizes.end(),
                                   [&](const RangeQuality& q) { return q.name == stop.first && q.set_size == n; });
      row.push_back(at == report.sizes.end() ? "" : fmt::format("{:.2f}", at->worst_sqnr_db));
    }
    row.push_back(std::to_string(stop.second));
    sizes.row(row);
  }
  return out + "\nsamples in the set; enough: no further change beyond 0.1 dB\n" + sizes.text(colour);
}

}  // namespace headroom
