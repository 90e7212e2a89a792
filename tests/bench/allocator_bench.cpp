// BM_OpenClose       a request of 512 tokens: look its prefix up, open, store, decode 512 steps, close
// BM_Advance         the decode group, 1,000 steps at once, by its number of members
#include <benchmark/benchmark.h>

#include <memory>

#include "sim/memory/kv_allocator.h"

namespace headroom {
namespace {

std::unique_ptr<KvAllocator> paged(bool caching) {
  KvAllocatorOptions o;
  o.capacity_tokens = std::int64_t{16} * 65536;
  o.kv_bytes_per_token = 131072;
  o.enable_prefix_caching = caching;
  for (const KvAllocatorEntry& entry : kv_allocators())
    if (entry.name == "paged") return entry.make(o);
  return nullptr;
}

void BM_OpenClose(benchmark::State& state) {
  const auto kv = paged(state.range(0) != 0);
  SlotSeconds ledger;
  std::uint32_t request = 0;
  for (auto _ : state) {
    KvDemand d;
    d.prompt_tokens = 512;
    d.final_tokens = 1023;
    d.request = RequestId{request++};
    const std::int64_t hit = kv->cached_prefix(d);
    kv->open(SequenceId{0}, d, hit, 512);
    kv->store(SequenceId{0}, 512);
    kv->join(SequenceId{0});
    kv->advance(511, Seconds{0.01}, Seconds{0}, ledger);
    kv->leave(SequenceId{0});
    kv->close(SequenceId{0}, false);
  }
  benchmark::DoNotOptimize(ledger);
  state.counters["requests/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_OpenClose)->ArgName("caching")->Arg(0)->Arg(1);

void BM_Advance(benchmark::State& state) {
  const auto kv = paged(false);
  const auto members = static_cast<std::uint32_t>(state.range(0));
  SlotSeconds ledger;
  for (auto _ : state) {
    state.PauseTiming();
    for (std::uint32_t i = 0; i < members; ++i) {
      KvDemand d;
      d.prompt_tokens = 1 + i % 31;
      d.final_tokens = 3000;
      d.request = RequestId{i};
      kv->open(SequenceId{i}, d, 0, d.prompt_tokens);
      kv->store(SequenceId{i}, d.prompt_tokens);
      kv->join(SequenceId{i});
    }
    state.ResumeTiming();
    kv->advance(1000, Seconds{0.01}, Seconds{0}, ledger);
    state.PauseTiming();
    for (std::uint32_t i = 0; i < members; ++i) {
      kv->leave(SequenceId{i});
      kv->close(SequenceId{i}, false);
    }
    state.ResumeTiming();
  }
  state.counters["steps/s"] =
      benchmark::Counter(1000.0 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Advance)->ArgName("members")->Arg(1)->Arg(32)->Arg(512);

}  // namespace
}  // namespace headroom
