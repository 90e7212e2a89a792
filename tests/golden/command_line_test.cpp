// The program from outside: exit codes, files, formats, and the same bytes for the same seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
const std::string kScenarios = HEADROOM_SOURCE_DIR "/configs/scenarios/";
const std::string kSmall = kScenarios + "one-gpu-poisson.yaml --quiet --set workload.requests=200 ";

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

TEST(CommandLine, ExitCodes) {
  EXPECT_EQ(headroom("").code, 2);
  EXPECT_EQ(headroom("--help").code, 0);
  EXPECT_EQ(headroom("--version").code, 0);
  EXPECT_EQ(headroom("rum x").code, 2);
  EXPECT_NE(headroom("rum x").err.find("did you mean 'run'?"), std::string::npos);
  EXPECT_EQ(headroom("run").code, 2);
  EXPECT_EQ(headroom("run nowhere.yaml").code, 2);
  EXPECT_EQ(headroom("run " + kSmall + "--no-such-option").code, 2);
  EXPECT_EQ(headroom("run " + kSmall + "--seed minus").code, 2);
  EXPECT_EQ(headroom("list gpus").code, 2);
  EXPECT_EQ(headroom("run " + kSmall + "--out /dev/null/x").code, 3);
  EXPECT_EQ(headroom("run " + kSmall + "--vllm-bench /proc/none/x.json").code, 3);
}

TEST(CommandLine, SameSeedSameBytes) {
  const Scratch scratch;
  for (const char* folder : {"a", "b"})
    ASSERT_EQ(headroom("run " + kSmall + "--seed 5 --out " + scratch / folder + " --trace " +
                       scratch / (std::string(folder) + ".trace"))
                  .code,
              0);
  ASSERT_EQ(headroom("run " + kSmall + "--seed 6 --out " + scratch / "c").code, 0);
  for (const char* file : {"requests.csv", "timeline.csv", "scenario.yaml"})
    EXPECT_EQ(text_of_file(scratch / ("a/" + std::string(file))), text_of_file(scratch / ("b/" + std::string(file))))
        << file;
  EXPECT_EQ(text_of_file(scratch / "a.trace"), text_of_file(scratch / "b.trace"));
  Json a = Json::parse(text_of_file(scratch / "a/summary.json")),
       b = Json::parse(text_of_file(scratch / "b/summary.json"));
  a.erase("simulator");
  b.erase("simulator");
  EXPECT_EQ(a, b);
  EXPECT_NE(text_of_file(scratch / "a/requests.csv"), text_of_file(scratch / "c/requests.csv"));
}

TEST(CommandLine, SummaryHasTheAgreedFields) {
  const Json j = Json::parse(headroom("run " + kSmall + "--json").out);
  for (const char* path : {"/scenario/name",
                           "/scenario/sha256",
                           "/seed",
                           "/duration_s",
                           "/requests/submitted",
                           "/requests/completed",
                           "/requests/rejected",
                           "/requests/preempted",
                           "/throughput/requests_per_s",
                           "/throughput/output_tokens_per_s",
                           "/throughput/total_tokens_per_s",
                           "/latency/ttft_s/mean",
                           "/latency/tpot_s/p50",
                           "/latency/itl_s/p90",
                           "/latency/e2el_s/p95",
                           "/latency/queue_s/p99",
                           "/latency/normalized_s_per_token/max",
                           "/goodput/requests_per_s",
                           "/goodput/fraction",
                           "/scheduler/steps",
                           "/scheduler/preemptions",
                           "/scheduler/mean_batch",
                           "/scheduler/max_batch",
                           "/scheduler/prefix_cache_hit_rate",
                           "/memory/gpu_bytes",
                           "/memory/weights_bytes",
                           "/memory/activation_peak_bytes",
                           "/memory/context_bytes",
                           "/memory/other_bytes",
                           "/memory/unused_bytes",
                           "/memory/kv_pool_bytes",
                           "/memory/kv_pool_tokens",
                           "/memory/num_gpu_blocks",
                           "/memory/kv_peak_bytes",
                           "/memory/waste/token_states",
                           "/memory/waste/reservation",
                           "/memory/waste/internal",
                           "/memory/waste/external",
                           "/memory/waste/padding",
                           "/memory/waste/cached",
                           "/memory/waste/free",
                           "/gpu/busy_fraction",
                           "/gpu/energy_j",
                           "/cost/usd",
                           "/cost/usd_per_million_output_tokens",
                           "/prediction/hardware",
                           "/prediction/provenance",
                           "/prediction/extrapolated_time_fraction",
                           "/simulator/version",
                           "/simulator/events",
                           "/simulator/wall_s",
                           "/simulator/requests_per_wall_s",
                           "/simulator/peak_rss_bytes"})
    EXPECT_TRUE(j.contains(Json::json_pointer(path))) << path;
  const Json& m = j["memory"];
  EXPECT_EQ(m["weights_bytes"].get<std::int64_t>() + m["activation_peak_bytes"].get<std::int64_t>() +
                m["context_bytes"].get<std::int64_t>() + m["other_bytes"].get<std::int64_t>() +
                m["kv_pool_bytes"].get<std::int64_t>() + m["unused_bytes"].get<std::int64_t>(),
            m["gpu_bytes"].get<std::int64_t>());
  EXPECT_EQ(j["prediction"]["provenance"], "mixed");
}

TEST(CommandLine, RequestsCsv) {
  const Scratch scratch;
  ASSERT_EQ(headroom("run " + kSmall + "--out " + scratch / "o").code, 0);
  const std::string text = text_of_file(scratch / "o/requests.csv");
  EXPECT_EQ(first_line(text),
            "id,replica,arrival_s,scheduled_s,first_token_s,finish_s,prompt_tokens,output_tokens,cached_tokens,"
            "preemptions,status");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 201);
  for (const auto& entry : fs::directory_iterator(scratch / "o"))
    EXPECT_NE(entry.path().extension(), ".tmp") << "a temporary was left";
  const std::string timeline = text_of_file(scratch / "o/timeline.csv");
  EXPECT_EQ(first_line(timeline),
            "time_s,replica,token_states,reservation,internal,external,padding,cached,free,running,waiting");
}

TEST(CommandLine, TheResolvedScenarioReadsBackToItself) {
  const Scratch scratch;
  for (const char* preset : {"hf-generate", "hf-continuous", "hf-continuous-2025", "fastertransformer", "orca",
                             "vllm-v0", "vllm-v1-2025", "vllm-v1-2026", "sarathi"}) {
    const std::string settings =
        "--set model=opt-1.3b --set workload.requests=5 --set slo.e2el='90 s' --set engine.preset=" +
        std::string(preset);
    ASSERT_EQ(headroom("run " + kScenarios + "one-gpu-poisson.yaml --quiet " + settings +
                       " --set workload.prompt_tokens.max=500 --set workload.output_tokens.max=500 --out " +
                       scratch / "first")
                  .code,
              0)
        << preset;
    const Said again = headroom("run " + scratch / "first/scenario.yaml --quiet --out " + scratch / "second");
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(text_of_file(scratch / "first/scenario.yaml"), text_of_file(scratch / "second/scenario.yaml")) << preset;
    EXPECT_EQ(text_of_file(scratch / "first/requests.csv"), text_of_file(scratch / "second/requests.csv")) << preset;
  }
}

TEST(CommandLine, AnExportedWorkloadReplaysTheRun) {
  const Scratch scratch;
  // A trace starts with its first request, so the run to compare with must do so too.
  ASSERT_EQ(headroom("run " + kSmall + "--set 'workload.arrivals={process: batch}' --out " +
                     scratch / "first --export-workload " + scratch / "w.csv")
                .code,
            0);
  const Said replay =
      headroom("run " + kScenarios + "one-gpu-poisson.yaml --quiet --out " +
               scratch / "second --set 'workload={trace: {format: csv, path: " + scratch / "w.csv" + "}}'");
  EXPECT_EQ(replay.code, 2) << "the scenario's own keys would be mixed with the trace's";
  std::ofstream(scratch / "s.yaml") << "model: llama-3.1-8b\nhardware: h100-sxm\nengine: {preset: "
                                       "vllm-v1-2026}\nworkload:\n  trace: {format: csv, path: w.csv}\n";
  ASSERT_EQ(headroom("run " + scratch / "s.yaml --quiet --out " + scratch / "second").code, 0);
  EXPECT_EQ(text_of_file(scratch / "first/requests.csv"), text_of_file(scratch / "second/requests.csv"));
}

TEST(CommandLine, TraceIsWhatPerfettoReads) {
  const Scratch scratch;
  ASSERT_EQ(headroom("run " + kSmall + "--trace " + scratch / "t.json").code, 0);
  const Json t = Json::parse(text_of_file(scratch / "t.json"));
  ASSERT_TRUE(t["traceEvents"].is_array());
  int begins = 0, ends = 0, steps = 0;
  for (const Json& e : t["traceEvents"]) {
    ASSERT_TRUE(e.contains("ph") && e.contains("pid") && e.contains("name"));
    begins += e["ph"] == "b";
    ends += e["ph"] == "e";
    steps += e["ph"] == "X";
    if (e["ph"] == "X") {
      ASSERT_GT(e["dur"].get<double>(), 0);
    }
  }
  EXPECT_EQ(begins, ends);
  EXPECT_GE(begins, 800);
  EXPECT_GT(steps, 200);
}

// Two replicas of two stages: four batches in flight, requests beside the first of their replica.
TEST(CommandLine, TraceTellsBatchesInFlightApart) {
  const Scratch scratch;
  ASSERT_EQ(headroom("run " + kSmall + "--set 'cluster={replicas: 2, pipeline_parallel_size: 2}' --trace " +
                     scratch / "t.json")
                .code,
            0);
  std::map<int, std::string> processes;
  std::map<int, int> steps, requests;
  const Json trace = Json::parse(text_of_file(scratch / "t.json"));
  for (const Json& e : trace["traceEvents"]) {
    const int process = e["pid"].get<int>();
    if (e["name"] == "process_name") processes[process] = e["args"]["name"].get<std::string>();
    steps[process] += e["ph"] == "X";
    requests[process] += e["ph"] == "b" && e["name"] == "request";
  }
  ASSERT_EQ(processes.size(), 4U);
  EXPECT_TRUE(processes[3].starts_with("replica 1, batch in flight 1: "));
  for (int i = 0; i < 4; ++i) EXPECT_GT(steps[i], 50);
  EXPECT_EQ(requests[0] + requests[2], 200);
  EXPECT_EQ(requests[0], requests[2]);  // round-robin
}

TEST(CommandLine, VllmBenchFile) {
  const Scratch scratch;
  ASSERT_EQ(headroom("run " + kSmall + "--vllm-bench " + scratch / "b.json --out " + scratch / "o").code, 0);
  const Json b = Json::parse(text_of_file(scratch / "b.json")),
             s = Json::parse(text_of_file(scratch / "o/summary.json"));
  for (const char* key : {"backend",
                          "model_id",
                          "tokenizer_id",
                          "num_prompts",
                          "request_rate",
                          "burstiness",
                          "max_concurrency",
                          "duration",
                          "completed",
                          "failed",
                          "total_input_tokens",
                          "total_output_tokens",
                          "request_throughput",
                          "request_goodput",
                          "output_throughput",
                          "total_token_throughput",
                          "mean_ttft_ms",
                          "median_ttft_ms",
                          "std_ttft_ms",
                          "p99_ttft_ms",
                          "mean_tpot_ms",
                          "mean_itl_ms",
                          "p99_itl_ms",
                          "mean_e2el_ms",
                          "input_lens",
                          "output_lens",
                          "ttfts"})
    EXPECT_TRUE(b.contains(key)) << key;
  EXPECT_NEAR(b["mean_ttft_ms"].get<double>(), 1e3 * s["latency"]["ttft_s"]["mean"].get<double>(), 1e-9);
  EXPECT_EQ(b["input_lens"].size(), 200U);
  EXPECT_GT(b["std_itl_ms"].get<double>(), 0);
}

TEST(CommandLine, VariantsGetFoldersAndOneTable) {
  const Scratch scratch;
  const Said s = headroom("run " + kScenarios + "hello.yaml --out " + scratch / "o");
  ASSERT_EQ(s.code, 0);
  EXPECT_TRUE(fs::exists(scratch / "o/hf/summary.json"));
  EXPECT_TRUE(fs::exists(scratch / "o/vllm/requests.csv"));
  EXPECT_EQ(first_line(s.out).find("prediction"), 0U) << "the first line says what the numbers rest on";
  EXPECT_EQ(s.err, "") << "no progress bar into a file";
}

TEST(CommandLine, MemoryPlanInJsonAddsUp) {
  const Json j = Json::parse(headroom("memory " + kScenarios + "chat-a10g.yaml --json").out);
  for (const auto& [variant, plan] : j.items()) {
    const Json& m = plan["memory"];
    std::int64_t sum = 0;
    for (const char* part :
         {"weights_bytes", "activation_peak_bytes", "context_bytes", "other_bytes", "kv_pool_bytes", "unused_bytes"})
      sum += m[part].get<std::int64_t>();
    EXPECT_EQ(sum, m["gpu_bytes"].get<std::int64_t>()) << variant;
    EXPECT_GT(plan["requests_of_mean_length"].get<double>(), 1) << variant;
  }
}

TEST(CommandLine, ListsAndChecks) {
  for (const char* kind : {"models", "hardware", "engines", "allocators", "schedulers", "scenarios"}) {
    const Said s = headroom(std::string("list ") + kind);
    EXPECT_EQ(s.code, 0) << kind;
    EXPECT_GE(std::count(s.out.begin(), s.out.end(), '\n'), 5) << kind;
  }
  const Said all = headroom("check " HEADROOM_SOURCE_DIR "/configs/scenarios/*.yaml " HEADROOM_SOURCE_DIR
                            "/configs/models/*.yaml " HEADROOM_SOURCE_DIR
                            "/configs/hardware/*.yaml " HEADROOM_SOURCE_DIR "/configs/engines/*.yaml");
  EXPECT_EQ(all.code, 0) << all.err;
}

TEST(CommandLine, CheckReadsATraceToItsEnd) {
  const Scratch scratch;
  std::ofstream(scratch / "trace.csv") << "arrival_s,prompt_tokens,output_tokens\n0,5,5\n1,five,5\n";
  std::ofstream(scratch / "scenario.yaml") << "model: llama-3.1-8b\nhardware: h100-sxm\n"
                                              "engine: {preset: vllm-v1-2026}\n"
                                              "workload: {trace: {format: csv, path: trace.csv}}\n";
  const Said said = headroom("check " + scratch / "scenario.yaml");
  EXPECT_EQ(said.code, 2);
  EXPECT_NE(said.err.find("trace.csv:3:1: error: prompt_tokens: 'five' is not a number"), std::string::npos)
      << said.err;
}

TEST(CommandLine, StepByStepSaysTheSame) {
  const Scratch scratch;
  ASSERT_EQ(headroom("run " + kSmall + "--out " + scratch / "fast").code, 0);
  ASSERT_EQ(headroom("run " + kSmall + "--step-by-step --out " + scratch / "plain").code, 0);
  const Json f = Json::parse(text_of_file(scratch / "fast/summary.json")),
             p = Json::parse(text_of_file(scratch / "plain/summary.json"));
  EXPECT_EQ(f["scheduler"]["steps"], p["scheduler"]["steps"]);
  EXPECT_NEAR(f["duration_s"].get<double>(), p["duration_s"].get<double>(), 1e-9 * f["duration_s"].get<double>());
  EXPECT_LT(f["simulator"]["events"].get<std::int64_t>(), p["simulator"]["events"].get<std::int64_t>());
}

TEST(CommandLine, ExecuteRefusesSeveralSamplesWhereTheyStand) {
  const Said said = headroom("execute " HEADROOM_SOURCE_DIR "/configs/scenarios/samples-cow.yaml");
  EXPECT_EQ(said.code, 2);
  EXPECT_NE(said.err.find("samples-cow.yaml:12:12: error: workload.samples: 4; "), std::string::npos) << said.err;
  const Said drawn = headroom("execute one-gpu-poisson --set workload.sampling=top-p");
  EXPECT_EQ(drawn.code, 2);
  EXPECT_NE(drawn.err.find("most probable token; expected greedy"), std::string::npos) << drawn.err;
}

// An executed run of validate's: on its own step times the simulator does what the scheduler on the GPU did.
TEST(Replay, OfAnExecutedRunGivesItsPreemptionsAndItsMemory) {
  const Scratch scratch;
  const std::string name = "8b-paged-load1.5-over4", folder = scratch / name;
  ASSERT_EQ(shell("tar xzf " HEADROOM_SOURCE_DIR "/results/validation/execute-h100/executed.tar.gz -C " + scratch / "" +
                  " ./" + name)
                .code,
            0);
  const std::string record = folder + "/steps.csv.gz", again = scratch / "again";
  const std::string command = "run " + folder + "/scenario.yaml --quiet --replay-steps ";
  const Said said = headroom(command + record + " --out " + again);
  ASSERT_EQ(said.code, 0) << said.err;
  const Json executed = Json::parse(text_of_file(folder + "/summary.json"));
  const Json replayed = Json::parse(text_of_file(again + "/summary.json"));
  EXPECT_GT(executed["scheduler"]["preemptions"], 0);
  EXPECT_EQ(executed["scheduler"]["preemptions"], replayed["scheduler"]["preemptions"]);
  for (const auto& [state, share] : executed["memory"]["waste"].items())
    EXPECT_NEAR(share.get<double>(), replayed["memory"]["waste"][state].get<double>(), 1e-12) << state;
  EXPECT_TRUE(fs::exists(again + "/steps-compared.csv.gz"));

  ASSERT_EQ(shell("zcat " + record + " | head -n 100 | gzip > " + scratch / "half.csv.gz").code, 0);
  const Said half = headroom(command + scratch / "half.csv.gz");
  EXPECT_EQ(half.code, 2);
  EXPECT_NE(half.err.find("half.csv.gz"), std::string::npos) << half.err;
  const Said other = headroom(command + record + " --set engine.max_num_seqs=3");
  EXPECT_EQ(other.code, 2) << "another scenario's steps";
}

}  // namespace
}  // namespace headroom::testing
