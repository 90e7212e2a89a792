// Pieces of load_scenario() that stand in files of their own.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/reader.h"
#include "sim/config/scenario.h"

namespace headroom {

template <class T>
struct Choice {
  std::string_view name;
  T value;
};

// The value behind a name; an unknown one is an error that suggests the nearest.
template <class T>
T choose(const Value& value, std::span<const Choice<T>> choices, std::string_view noun) {
  std::vector<std::string_view> known;
  for (const Choice<T>& c : choices) known.push_back(c.name);
  value.expects(known);
  const std::string word = value.text();
  for (const Choice<T>& c : choices)
    if (c.name == word) return c.value;
  value.fail(fmt::format("no {} '{}'{}", noun, word, suggestion(word, known)));
}
template <class T>
std::string_view name_of(T value, std::span<const Choice<T>> choices) {
  for (const Choice<T>& c : choices)
    if (c.value == value) return c.name;
  return "?";
}

inline constexpr Choice<ZeroOffload> kOffloads[] = {
    {"none", ZeroOffload::kNone}, {"cpu", ZeroOffload::kCpu}, {"nvme", ZeroOffload::kNvme}};
inline constexpr Choice<RouterPolicy> kRouters[] = {{"round-robin", RouterPolicy::kRoundRobin},
                                                    {"random", RouterPolicy::kRandom},
                                                    {"least-outstanding", RouterPolicy::kLeastOutstanding},
                                                    {"prefix-affinity", RouterPolicy::kPrefixAffinity}};
inline constexpr Choice<KvTransferMode> kKvTransfers[] = {{"none", KvTransferMode::kNone},
                                                          {"pull", KvTransferMode::kPull},
                                                          {"push", KvTransferMode::kPush},
                                                          {"push-layerwise", KvTransferMode::kPushLayerwise}};
inline constexpr Choice<AttentionKernel> kAttentions[] = {{"flash", AttentionKernel::kFlash},
                                                          {"eager", AttentionKernel::kEager}};
inline constexpr Choice<ExecutionStyle> kStyles[] = {
    {"fused", ExecutionStyle::kFused}, {"eager", ExecutionStyle::kEager}, {"compiled", ExecutionStyle::kCompiled}};
inline constexpr Choice<FitPolicy> kFits[] = {
    {"first", FitPolicy::kFirst}, {"best", FitPolicy::kBest}, {"buddy", FitPolicy::kBuddy}};
inline constexpr Choice<MemoryRule> kMemoryRules[] = {{"cacheflow", MemoryRule::kCacheFlow},
                                                      {"vllm-v0", MemoryRule::kVllmV0},
                                                      {"vllm-v1", MemoryRule::kVllmV1},
                                                      {"vllm-v1-graph-aware", MemoryRule::kVllmV1GraphAware},
                                                      {"hf-generate", MemoryRule::kHfGenerate},
                                                      {"hf-continuous-2025", MemoryRule::kHfContinuous2025},
                                                      {"hf-continuous-2026", MemoryRule::kHfContinuous2026},
                                                      {"fastertransformer", MemoryRule::kFasterTransformer}};
inline constexpr Choice<WeightQuantization> kQuantizations[] = {
    {"none", WeightQuantization::kNone},     {"int8", WeightQuantization::kInt8},
    {"fp8", WeightQuantization::kFp8},       {"fp8-block", WeightQuantization::kFp8Block},
    {"awq", WeightQuantization::kAwq},       {"gptq", WeightQuantization::kGptq},
    {"marlin", WeightQuantization::kMarlin}, {"nf4", WeightQuantization::kNf4},
    {"mxfp4", WeightQuantization::kMxfp4},   {"nvfp4", WeightQuantization::kNvfp4}};
// Names of vLLM's kv_cache_dtype, and the plain types. E4M3 and E5M2 differ in values (headroom numerics), not in cost.
inline constexpr Choice<std::optional<DType>> kKvTypes[] = {
    {"none", std::nullopt},       {"auto", std::nullopt},         {"fp8", DType::kFp8},
    {"fp8_e4m3", DType::kFp8},    {"fp8_e5m2", DType::kFp8},      {"int8", DType::kInt8},
    {"float16", DType::kFloat16}, {"bfloat16", DType::kBfloat16}, {"float32", DType::kFloat32}};
inline constexpr Choice<std::optional<DType>> kQuantizedActivations[] = {
    {"none", std::nullopt}, {"int8", DType::kInt8}, {"fp8", DType::kFp8}};
inline constexpr Choice<PreemptionMode> kPreemptionModes[] = {
    {"recompute", PreemptionMode::kRecompute}, {"swap", PreemptionMode::kSwap}, {"auto", PreemptionMode::kAuto}};
inline constexpr Choice<DraftMethod> kDraftMethods[] = {
    {"ngram", DraftMethod::kNgram}, {"draft-model", DraftMethod::kDraftModel}, {"eagle", DraftMethod::kEagle}};
inline constexpr Choice<ContinuousRules> kContinuousRules[] = {{"2025", ContinuousRules::k2025},
                                                               {"2026", ContinuousRules::k2026}};
inline constexpr Choice<ContinuousPolicy> kContinuousPolicies[] = {{"fifo", ContinuousPolicy::kFifo},
                                                                   {"prefill-first", ContinuousPolicy::kPrefillFirst}};

// Keys of a scenario that its variants cannot have: they run the same requests, and are no scenarios of their own.
inline constexpr std::string_view kNotInVariants[] = {"workload", "seed", "variants", "name"};

// The engine section, layered over the preset in `preset_file`. Needs the scenario's model, hardware, cluster and
// workload; adds a draft model to it where speculation names one.
EngineSpec read_engine_section(const Map& map, const std::string& preset_file, Scenario& scenario);
void check_scheduler_name(const Value& value);

// The workload section. Lengths beyond the engine's limit are no error here: such requests are refused in the run.
WorkloadSpec read_workload(const Map& map);

// The resolved scenario as YAML, every key written out; with `whole_paths` it reads back to the same scenario from any
// folder, without it is the same text on every machine.
std::string scenario_text(const Scenario& scenario, const Map& workload, bool whole_paths);

}  // namespace headroom
