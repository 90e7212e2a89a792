#include "sim/output/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "sim/output/summary_json.h"
#include "sim/output/texts.h"

namespace headroom {
namespace {

class Table {
 public:
  explicit Table(bool colour) : colour_(colour) {}

  void head(std::vector<std::string> names) { rows_.push_back({"", std::move(names), true}); }
  void section(std::string title) { rows_.push_back({std::move(title), {}, true}); }
  void row(std::string label, std::vector<std::string> cells) {
    rows_.push_back({std::move(label), std::move(cells), false});
  }

  std::string text() const {
    std::size_t label = 0;
    std::vector<std::size_t> width;
    for (const Row& r : rows_) {
      label = std::max(label, r.label.size() + (r.bold ? 0 : 2));
      for (std::size_t i = 0; i < r.cells.size(); ++i) {
        if (i >= width.size()) width.push_back(0);
        width[i] = std::max(width[i], r.cells[i].size());
      }
    }
    std::string out;
    for (const Row& r : rows_) {
      std::string line = fmt::format("{}{:<{}}", r.bold ? "" : "  ", r.label, label - (r.bold ? 0 : 2));
      for (std::size_t i = 0; i < r.cells.size(); ++i) line += fmt::format("  {:>{}}", r.cells[i], width[i]);
      while (line.ends_with(' ')) line.pop_back();
      out += r.bold && colour_ ? "\x1b[1m" + line + "\x1b[0m\n" : line + "\n";
    }
    return out;
  }

 private:
  struct Row {
    std::string label;
    std::vector<std::string> cells;
    bool bold;
  };
  bool colour_;
  std::vector<Row> rows_;
};

using Cell = std::function<std::string(const VariantResult&)>;

// Where the KV slots went, as a bar of 40 characters.
std::string bar(const WasteFractions& w) {
  struct Part {
    double fraction;
    char mark;
  };
  const Part parts[] = {{w.token_states, '#'}, {w.reservation, 'r'}, {w.internal, 'i'}, {w.external, 'e'},
                        {w.padding, 'p'},      {w.cached, 'c'},      {w.free, '.'}};
  std::string out;
  double sum = 0;
  for (const Part& part : parts) {
    sum += part.fraction;
    const auto until = static_cast<std::size_t>(std::lround(40 * std::min(1.0, sum)));
    if (until > out.size()) out.append(until - out.size(), part.mark);
  }
  out.resize(40, '.');
  return out;
}

}  // namespace

std::string run_table(std::span<const VariantResult> variants, bool colour) {
  const VariantResult& first = variants.front();
  std::string out = "prediction: " +
                    trust_text(provenance_of(*first.run, *first.summary), first.scenario->hardware.name,
                               first.summary->extrapolated_time_fraction) +
                    "\n";
  out += fmt::format("{}: {} on {} x {}, {} requests\n\n", first.scenario->name, first.scenario->model.name,
                     first.run->gpus, first.scenario->hardware.name, first.summary->submitted);
  Table t(colour);
  const auto row = [&](std::string label, const Cell& cell) {
    std::vector<std::string> cells;
    for (const VariantResult& v : variants) cells.push_back(cell(v));
    t.row(std::move(label), std::move(cells));
  };
  std::vector<std::string> names;
  for (const VariantResult& v : variants) names.push_back(v.name.empty() ? v.scenario->engine.preset : v.name);
  t.head(std::move(names));
  row("engine", [](const VariantResult& v) { return v.scenario->engine.preset; });
  row("KV allocator", [](const VariantResult& v) { return v.scenario->engine.kv_allocator; });
  t.section("requests");
  row("completed", [](const VariantResult& v) { return std::to_string(v.summary->completed); });
  row("rejected or out of memory", [](const VariantResult& v) { return std::to_string(v.summary->rejected); });
  row("simulated time", [](const VariantResult& v) { return time_text(v.summary->duration); });
  row("requests/s", [](const VariantResult& v) { return number_text(v.summary->requests_per_s); });
  row("output tokens/s", [](const VariantResult& v) { return number_text(v.summary->output_tokens_per_s); });
  const bool has_slo = first.scenario->slo.ttft || first.scenario->slo.tpot || first.scenario->slo.e2el;
  if (has_slo) row("within the SLO", [](const VariantResult& v) { return percent_text(v.summary->goodput_fraction); });
  t.section("latency");
  const auto latency = [&](const char* name, Distribution Summary::*d) {
    row(fmt::format("{} p50", name), [d](const VariantResult& v) { return time_text((v.summary->*d).p50); });
    row(fmt::format("{} p99", name), [d](const VariantResult& v) { return time_text((v.summary->*d).p99); });
  };
  latency("waiting", &Summary::queue);
  latency("first token (TTFT)", &Summary::ttft);
  latency("per further token (TPOT)", &Summary::tpot);
  latency("whole answer (E2EL)", &Summary::e2el);
  t.section("scheduler");
  row("mean batch", [](const VariantResult& v) { return number_text(v.summary->mean_batch); });
  row("preemptions", [](const VariantResult& v) { return std::to_string(v.summary->preemptions); });
  row("prefix cache hits", [](const VariantResult& v) { return percent_text(v.summary->prefix_cache_hit_rate); });
  if (std::any_of(variants.begin(), variants.end(),
                  [](const VariantResult& v) { return v.summary->prefill.has_value(); })) {
    t.section("prefill and decode replicas");
    const auto pools = [&](const char* name, auto text) {
      row(name, [text](const VariantResult& v) {
        return v.summary->prefill ? text(*v.summary->prefill) + ", " + text(*v.summary->decode) : "-";
      });
    };
    pools("replicas", [](const PoolSummary& p) { return std::to_string(p.replicas); });
    pools("GPU busy", [](const PoolSummary& p) { return percent_text(p.busy_fraction); });
    pools("mean batch", [](const PoolSummary& p) { return number_text(p.mean_batch); });
    pools("KV pool held", [](const PoolSummary& p) { return percent_text(p.held_fraction); });
    const auto moved = [&](const char* name, auto text) {
      row(name, [text](const VariantResult& v) { return v.summary->prefill ? text(v.summary->transfers) : "-"; });
    };
    moved("KV moved", [](const TransferSummary& m) { return size_text(m.bytes); });
    moved("on its way, p50", [](const TransferSummary& m) { return time_text(m.time.p50); });
    moved("on its way, p99", [](const TransferSummary& m) { return time_text(m.time.p99); });
    moved("waiting for blocks, p99", [](const TransferSummary& m) { return time_text(m.waiting.p99); });
  }
  const bool offloads = std::any_of(variants.begin(), variants.end(), [](const VariantResult& v) {
    return v.scenario->engine.kv_offloading_size.count() > 0;
  });
  if (offloads) {
    t.section("KV offloaded to the host");
    row("tokens loaded back", [](const VariantResult& v) { return std::to_string(v.summary->host_tier.hit_tokens); });
    row("loaded, per GPU", [](const VariantResult& v) { return size_text(v.summary->host_tier.loaded); });
    row("stored, per GPU", [](const VariantResult& v) { return size_text(v.summary->host_tier.stored); });
    row("waited for loads", [](const VariantResult& v) { return time_text(v.summary->host_tier.load_wait); });
    row("computing instead", [](const VariantResult& v) { return time_text(v.summary->host_tier.recompute); });
  }
  t.section("GPU memory");
  const auto size = [&](const char* name, Bytes MemoryPlan::*part) {
    row(name, [part](const VariantResult& v) { return size_text(v.run->memory.*part); });
  };
  // Parts of the line above that only some techniques bring.
  const auto part_size = [&](const char* name, Bytes MemoryPlan::*part) {
    if (std::any_of(variants.begin(), variants.end(),
                    [&](const VariantResult& v) { return (v.run->memory.*part).count() > 0; }))
      size(name, part);
  };
  size("weights", &MemoryPlan::weights);
  part_size("  brought together at once", &MemoryPlan::gathered_weights);
  size("activation peak", &MemoryPlan::activation_peak);
  part_size("  kept by autograd", &MemoryPlan::kept_by_autograd);
  size("context", &MemoryPlan::context);
  size("other", &MemoryPlan::other);
  size("KV pool", &MemoryPlan::kv_pool);
  size("unused", &MemoryPlan::unused);
  t.section("KV pool, time average");
  const auto waste = [&](const char* name, double WasteFractions::*part) {
    row(name, [part](const VariantResult& v) { return percent_text(v.summary->waste.*part); });
  };
  waste("# token states", &WasteFractions::token_states);
  waste("r reserved for later", &WasteFractions::reservation);
  waste("i internal", &WasteFractions::internal);
  waste("e external", &WasteFractions::external);
  waste("p padding", &WasteFractions::padding);
  waste("c cached, unreferenced", &WasteFractions::cached);
  waste(". free", &WasteFractions::free);
  t.section("time of the steps");
  const auto part = [&](const char* name, double ReplicaResult::*time) {
    row(name, [time](const VariantResult& v) {
      double sum = 0, all = 0;
      for (const ReplicaResult& r : v.run->replicas) {
        sum += r.*time;
        all += r.stepping;
      }
      return all > 0 ? percent_text(sum / all) : "0";
    });
  };
  part("matrix products", &ReplicaResult::gemm);
  part("attention", &ReplicaResult::attention);
  part("elementwise", &ReplicaResult::elementwise);
  part("cache copies", &ReplicaResult::cache_copy);
  part("communication", &ReplicaResult::communication);
  part("host, GPU idle", &ReplicaResult::host);
  row("GPU busy", [](const VariantResult& v) { return percent_text(v.summary->busy_fraction); });
  row("USD per million output tokens",
      [](const VariantResult& v) { return number_text(v.summary->usd_per_million_output_tokens); });
  out += t.text() + "\n";
  std::size_t width = 0;
  for (const VariantResult& v : variants) width = std::max(width, v.name.size());
  for (const VariantResult& v : variants) out += fmt::format("KV {:<{}} |{}|\n", v.name, width, bar(v.summary->waste));
  return out;
}

std::string memory_table(const Scenario& s, const MemoryPlan& plan, double mean_tokens, bool colour) {
  const std::string experts =
      s.cluster.enable_expert_parallel
          ? fmt::format(", experts over {}", s.cluster.tensor_parallel_size * s.cluster.replicas)
          : "";
  std::string out = fmt::format("{} ({}) under {} on {}, tensor parallel {}{}\n", s.model.name, name_of(s.dtype),
                                s.engine.preset, s.hardware.device, s.cluster.tensor_parallel_size, experts);
  Table t(colour);
  const auto row = [&](const char* name, Bytes part) {
    t.row(name, {size_text(part), percent_text(part / plan.gpu), fmt::format("{} B", part.count())});
  };
  const std::int64_t stages = s.cluster.pipeline_parallel_size;
  t.section(stages == 1 ? "one GPU" : fmt::format("one GPU, stage {} of {}", plan.stage + 1, stages));
  row("weights", plan.weights);
  if (plan.gathered_weights.count() > 0) row("  brought together at once", plan.gathered_weights);
  row("activation peak", plan.activation_peak);
  if (plan.kept_by_autograd.count() > 0) row("  kept by autograd", plan.kept_by_autograd);
  row("CUDA context", plan.context);
  row("other (graph pools, null block)", plan.other);
  row("KV pool", plan.kv_pool);
  row("unused", plan.unused);
  row("in all", plan.gpu);
  out += t.text();
  Table fits(colour);
  fits.section("what fits");
  fits.row("KV of one token", {fmt::format("{} B", plan.kv_per_token.count())});
  fits.row("tokens", {std::to_string(plan.kv_pool_tokens.count())});
  if (plan.num_gpu_blocks.count() > 0)
    fits.row(fmt::format("blocks of {} tokens", s.engine.block_size), {std::to_string(plan.num_gpu_blocks.count())});
  const auto tokens = static_cast<double>(plan.kv_pool_tokens.count());
  fits.row(fmt::format("requests of max_model_len ({})", s.engine.scheduler.max_model_len),
           {fmt::format("{:.2f}", tokens / static_cast<double>(s.engine.scheduler.max_model_len))});
  if (mean_tokens > 0)
    fits.row(fmt::format("requests of the workload's mean ({:.0f})", mean_tokens),
             {fmt::format("{:.1f}", tokens / mean_tokens)});
  return out + fits.text();
}

}  // namespace headroom
