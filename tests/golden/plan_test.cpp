// headroom plan from outside: exit codes, and answers that are known beforehand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

using Json = nlohmann::json;
const std::string kScenarios = HEADROOM_SOURCE_DIR "/configs/scenarios/";

// Constant service, one request at a time: what it carries within a bound on TTFT is what its service time allows.
std::string one_at_a_time(const Scratch& scratch, const std::string& arrivals, const std::string& slo) {
  const std::string file = scratch / "one.yaml";
  std::ofstream(file) << "name: one at a time\nmodel: llama-3.1-8b\nhardware: h100-sxm\n"
                         "engine: {preset: vllm-v1-2025, max_num_seqs: 1}\n"
                         "workload: {requests: 2000, arrivals: "
                      << arrivals << ", prompt_tokens: 100, output_tokens: 50, ignore_eos: true}\nslo: " << slo << "\n";
  return file;
}

Json plan(const std::string& arguments, int code = 0) {
  const Said s = headroom("plan " + arguments + " --quiet --json");
  EXPECT_EQ(s.code, code) << s.err;
  return Json::parse(s.out, nullptr, false);
}

TEST(Plan, ConstantArrivalsAreCarriedUpToTheServiceRate) {
  const Scratch scratch;
  const std::string file = one_at_a_time(scratch, "{process: constant, rate: 1/s}", "{ttft: 200 ms}");
  const Json alone = Json::parse(headroom("run " + file + " --json --quiet --set workload.requests=50").out);
  const double service = alone["latency"]["e2el_s"]["mean"];
  const Json best = plan(file)["candidates"][0];
  // D/D/1: nobody waits below 1/service; above it the queue grows until the bound is missed.
  EXPECT_LE(best["highest"]["requests_per_s"].get<double>(), 1.03 / service);
  EXPECT_GE(best["highest"]["requests_per_s"].get<double>(), 0.97 / service);
  EXPECT_GT(best["not_met"]["requests_per_s"].get<double>(), best["highest"]["requests_per_s"].get<double>());
  EXPECT_EQ(best["limits"]["binding"], "batch limit");
}

// M/D/1: the share of requests that wait at most t is Erlang's series; at the rate found it must be the percentile.
TEST(Plan, PoissonArrivalsAgreeWithMD1) {
  const Scratch scratch;
  const std::string file = one_at_a_time(scratch, "{process: poisson, rate: 1/s}", "{e2el: 1 s}");
  const Json alone = Json::parse(
      headroom("run " + file + " --json --quiet --set workload.requests=50 --set workload.arrivals.rate=0.001/s").out);
  const double service = alone["latency"]["e2el_s"]["mean"];
  const Json best = plan(file + " --percentile 90 --requests 8000")["candidates"][0];
  const auto within = [&](double rate) {
    const double wait = 1 - service, rho = rate * service;
    double sum = 0;
    for (int k = 0; k <= static_cast<int>(wait / service); ++k) {
      const double x = rate * (k * service - wait);
      sum += std::exp(-x) * std::pow(x, k) / std::tgamma(k + 1);
    }
    return (1 - rho) * sum;
  };
  const double found = best["highest"]["requests_per_s"], refused = best["not_met"]["requests_per_s"];
  EXPECT_GE(within(found), 0.895) << found;
  EXPECT_LE(within(refused), 0.93) << refused;
  EXPECT_GE(best["highest"]["attainment_low"].get<double>(), 0.9);
}

TEST(Plan, ReplicasCarryTheRateTogether) {
  const Scratch scratch;
  const std::string file = one_at_a_time(scratch, "{process: poisson, rate: 1/s}", "{ttft: 300 ms}");
  const Json one = plan(file)["candidates"][0];
  const double carries = one["highest"]["requests_per_s"];
  const Json j = plan(file + " --rate " + std::to_string(3.5 * carries) + "/s --over 'engine.max_num_seqs=[1]'");
  const Json best = j["candidates"][0];
  EXPECT_LE(best["replicas"].get<int>(), 4);  // in turn they get more even arrivals than one alone
  EXPECT_GE(best["replicas"].get<int>(), 2);
  EXPECT_EQ(best["usd_per_hour"].get<double>(), best["gpus"].get<double>() * best["usd_per_gpu_hour"].get<double>());
}

TEST(Plan, WhatCannotBeMetIsOne) {
  const Scratch scratch;
  const std::string file = one_at_a_time(scratch, "{process: poisson, rate: 1/s}", "{tpot: 1 ms}");
  const Json j = plan(file, 1);
  EXPECT_FALSE(j["met"].get<bool>());
  EXPECT_TRUE(j["candidates"][0]["highest"].is_null());
}

TEST(Plan, TheCheapestIsFoundAmongAll) {
  const std::string scenario = kScenarios + "one-gpu-poisson.yaml --rate 30/s --requests 300 --percentile 90 ";
  const std::string over =
      "--over 'hardware=[h100-sxm, h200-sxm, a100-80gb]' --over 'cluster.tensor_parallel_size=[1, 2]' ";
  const Json money = plan(scenario + over), gpus = plan(scenario + over + "--minimize gpus");
  double least = 1e9;
  for (const char* card : {"h100-sxm", "h200-sxm", "a100-80gb"})
    for (const char* tp : {"1", "2"}) {
      const Json alone =
          plan(scenario + "--over 'hardware=[" + card + "]' --over 'cluster.tensor_parallel_size=[" + tp + "]'");
      least = std::min(least, alone["candidates"][0]["usd_per_hour"].get<double>());
    }
  EXPECT_EQ(money["candidates"][0]["usd_per_hour"].get<double>(), least);
  EXPECT_LE(gpus["candidates"][0]["gpus"].get<int>(), money["candidates"][0]["gpus"].get<int>());
}

TEST(Plan, FlagsSayWhatWasSimulated) {
  const std::string scenario =
      kScenarios + "one-gpu-poisson.yaml --requests 100 --percentile 50 --set engine.max_num_seqs=77 ";
  const Json plain = plan(scenario)["candidates"][0];
  EXPECT_EQ(
      plain["flags"],
      "vllm serve llama-3.1-8b --dtype bfloat16 --max-model-len 131072 --max-num-seqs 77 --max-num-batched-tokens "
      "8192 --gpu-memory-utilization 0.92 --block-size 16 --enable-prefix-caching --async-scheduling");
  const std::string flags =
      plan(scenario +
           "--set cluster.tensor_parallel_size=2 --set quantization.weights=awq "
           "--set quantization.kv_cache=fp8 --set engine.enable_prefix_caching=false")["candidates"][0]["flags"];
  for (const char* flag :
       {"--tensor-parallel-size 2", "--quantization awq", "--kv-cache-dtype fp8", "--no-enable-prefix-caching"})
    EXPECT_NE(flags.find(flag), std::string::npos) << flags;
  EXPECT_FALSE(plan(scenario + "--set engine.preset=orca")["candidates"][0].contains("flags"));
}

// At its own times a trace is one run, sampled by its parts; played faster it carries until the bounds are missed.
TEST(Plan, ARecordedTraceIsPlayedFasterAndSlower) {
  const Json j = plan(kScenarios + "chat-a10g-paced.yaml --percentile 80");
  const Json best = j["candidates"][0];
  EXPECT_EQ(best["settings"]["variant"], "vllm");
  EXPECT_EQ(best["highest"]["samples"], 9);
  EXPECT_GE(best["highest"]["attainment_low"].get<double>(), 0.8);
  EXPECT_LT(best["not_met"]["attainment_low"].get<double>(), 0.8);
  EXPECT_GT(best["highest"]["requests_per_s"].get<double>(), 0.14);             // it was paced for both of its engines
  EXPECT_NEAR(best["refused"].get<double>(), 0.07, 0.02);                       // prompts longer than the model takes
  EXPECT_GT(j["candidates"][1]["limits"]["late_in_queue"].get<double>(), 0.5);  // behind a static batch
}

TEST(Plan, TheSameForAnyNumberOfJobs) {
  const std::string line =
      "plan " + kScenarios + "one-gpu-poisson.yaml --requests 200 --json --quiet --pareto tpot --jobs ";
  const std::string one = headroom(line + "1").out;
  EXPECT_EQ(one, headroom(line + "3").out);
  EXPECT_NE(one, headroom(line + "1 --seed 99").out);
}

TEST(Plan, MistakesAreSaid) {
  const std::string scenario = "plan " + kScenarios + "one-gpu-poisson.yaml ";
  const std::pair<const char*, const char*> cases[] = {
      {"--over engine.max_num_seq=[8]", "unknown key 'max_num_seq' in 'engine'; did you mean 'max_num_seqs'?"},
      {"--over hardware=h100", "expected a list, a range {from, to, points} or {named: {NAME: VALUE}}"},
      {"--rate 20", "--rate: "},
      {"--percentile 100", "--percentile: expected a number between 0 and 100"},
      {"--minimize mony", "did you mean 'money'?"},
      {"--pareto latency", "--pareto: no 'latency'"},
      {"--set cluster.replicas=2", "expected 1"},
  };
  for (const auto& [option, message] : cases) {
    const Said s = headroom(scenario + option);
    EXPECT_EQ(s.code, 2) << option;
    EXPECT_NE(s.err.find(message), std::string::npos) << s.err;
  }
  EXPECT_EQ(headroom("plan " + kScenarios + "hello.yaml").code, 2);
  EXPECT_EQ(headroom("plan " + kScenarios + "million.yaml").code, 2);  // no slo
}

}  // namespace
}  // namespace headroom::testing
