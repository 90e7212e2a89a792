// What the engines decided in random scenarios, kept: a rule that is changed and breaks no invariant shows here only.
// Sums over requests and replicas, relative 1e-9. HEADROOM_UPDATE_GOLDEN=1 writes them anew: in a commit of its own
// that says why the numbers moved.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/property/random_scenarios.h"

namespace headroom {
namespace {

constexpr char kFile[] = HEADROOM_SOURCE_DIR "/tests/property/decisions.csv";

// Those of the property tests, and batches in flight, for which no closed form is promised.
std::vector<Case> all_cases() {
  std::vector<Case> all = cases();
  for (const char* preset : {"vllm-v1-2025", "vllm-v1-2026", "vllm-v0", "sarathi", "orca"})
    all.push_back({preset, {"cluster.pipeline_parallel_size=2"}});
  all.push_back({"vllm-v1-2025", {"engine.enable_chunked_prefill=false", "engine.max_num_batched_tokens=1024"}});
  all.push_back({"vllm-v1-2025", {"engine.scheduler_reserve_full_isl=true", "engine.watermark=0.1"}});
  all.push_back({"hf-continuous", {"engine.block_size=16", "engine.safety_margin=0.3"}});
  all.push_back({"vllm-v0", {"workload.samples=2", "engine.enable_prefix_caching=true"}});
  all.push_back({"vllm-v0", {"workload.samples=3", "engine.kv_allocator=contiguous-exact"}});
  return all;
}

using Row = std::vector<std::pair<const char*, double>>;

Row decided(const Loaded& l) {
  const RunResult run = simulate(l.scenario, l.workload);
  double rejected = 0, died = 0, scheduled = 0, first = 0, finish = 0, cached = 0, preempted = 0, gaps = 0, waited = 0;
  for (const RequestRecord& r : run.requests) {
    rejected += r.status == RequestStatus::kRejected;
    died += r.status == RequestStatus::kOutOfMemory;
    scheduled += r.scheduled;
    first += r.first_token;
    finish += r.finish;
    cached += r.cached_tokens;
    preempted += r.preemptions;
  }
  for (const GapRun& g : run.gaps) {
    const double steps = g.steps;
    gaps += g.sequences * (steps * g.first + steps * (steps - 1) / 2 * g.slope);
  }
  for (const KvTransfer& t : run.transfers) waited += t.arrived - t.asked;
  ReplicaResult sum;
  for (const ReplicaResult& r : run.replicas) {
    sum.steps += r.steps;
    sum.sequence_steps += r.sequence_steps;
    sum.busy += r.busy;
    sum.slots.tokens += r.slots.tokens;
    sum.slots.reserved += r.slots.reserved;
    sum.slots.internal += r.slots.internal;
    sum.slots.cached += r.slots.cached;
    sum.external += r.external;
    sum.prefix_hit_tokens += r.prefix_hit_tokens;
    sum.kv_peak = sum.kv_peak + r.kv_peak;
    sum.host_tier.hit_tokens += r.host_tier.hit_tokens;
    sum.host_tier.evicted = sum.host_tier.evicted + r.host_tier.evicted;
    sum.fragmentation_peak = sum.fragmentation_peak + r.fragmentation_peak;
  }
  const auto number = [](auto value) { return static_cast<double>(value); };
  return {{"rejected", rejected},
          {"died", died},
          {"scheduled_s", scheduled},
          {"first_token_s", first},
          {"finish_s", finish},
          {"cached_tokens", cached},
          {"preemptions", preempted},
          {"gaps_s", gaps},
          {"handover_s", waited},
          {"steps", number(sum.steps)},
          {"sequence_steps", sum.sequence_steps},
          {"busy_s", sum.busy},
          {"tokens_slot_s", sum.slots.tokens},
          {"reserved_slot_s", sum.slots.reserved},
          {"internal_slot_s", sum.slots.internal},
          {"cached_slot_s", sum.slots.cached},
          {"external_slot_s", sum.external},
          {"hit_tokens", number(sum.prefix_hit_tokens)},
          {"kv_peak_bytes", number(sum.kv_peak.count())},
          {"host_hit_tokens", number(sum.host_tier.hit_tokens)},
          {"host_evicted_bytes", number(sum.host_tier.evicted.count())},
          {"fragmentation_peak_bytes", number(sum.fragmentation_peak.count())}};
}

std::string title(const Case& c, std::uint64_t seed) {
  std::string name = c.preset;
  for (const std::string& extra : c.extra) name += " " + extra;
  while (name.find(HEADROOM_SOURCE_DIR) != std::string::npos)
    name.erase(name.find(HEADROOM_SOURCE_DIR), std::string(HEADROOM_SOURCE_DIR).size());
  std::replace(name.begin(), name.end(), ',', ';');
  return name + " seed " + std::to_string(seed);
}

TEST(Decisions, AreThoseThatWereKept) {
  const bool update = std::getenv("HEADROOM_UPDATE_GOLDEN") != nullptr;
  std::map<std::string, std::string> kept;
  {
    std::ifstream file(kFile);
    for (std::string line; std::getline(file, line);) kept[line.substr(0, line.find(','))] = line;
  }
  std::ostringstream now;
  now.precision(12);
  for (const Case& c : all_cases())
    for (std::uint64_t seed = 301; seed <= 306; ++seed) {
      const std::string name = title(c, seed);
      const Row row = decided(load(c, seed));
      if (now.tellp() == 0) {
        now << "scenario";
        for (const auto& [column, value] : row) now << "," << column;
        now << "\n";
      }
      now << name;
      for (const auto& [column, value] : row) now << "," << value;
      now << "\n";
      if (update) continue;
      std::istringstream values(kept[name]);
      std::string field;
      std::getline(values, field, ',');
      for (const auto& [column, value] : row) {
        ASSERT_TRUE(std::getline(values, field, ',')) << name << ": not kept";
        const double was = std::stod(field);
        EXPECT_LE(std::abs(value - was), 1e-9 * std::max(std::abs(value), std::abs(was)))
            << name << ": " << column << " " << value << ", kept " << was;
      }
      if (HasFailure()) return;
    }
  if (update) std::ofstream(kFile) << now.str();
}

}  // namespace
}  // namespace headroom
