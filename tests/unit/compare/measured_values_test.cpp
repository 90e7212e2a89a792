#include "validate/compare/measured_values.h"

#include <gtest/gtest.h>

#include "sim/workload/text_file.h"
#include "tests/support/program.h"

namespace headroom {
namespace {

MeasuredValues of(const std::string& yaml) {
  return values_of(parse_yaml(yaml, "m.yaml").map());
}
std::string wrong(const std::string& yaml) {
  try {
    of(yaml);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(MeasuredValues, CarryTheUnitOfTheirMeasure) {
  const MeasuredValues v = of("{ttft_s.p50: 44 ms, requests_per_s: 90/min, weights_bytes: 2 GiB, preemptions: 3}");
  EXPECT_DOUBLE_EQ(v.at("ttft_s.p50").value, 0.044);
  EXPECT_DOUBLE_EQ(v.at("requests_per_s").value, 1.5);
  EXPECT_DOUBLE_EQ(v.at("weights_bytes").value, 2.0 * kGiB);
  EXPECT_DOUBLE_EQ(v.at("preemptions").value, 3);
  EXPECT_LT(v.at("preemptions").spread, 0);
  EXPECT_NE(wrong("{ttft_s.p50: 44}").find("m.yaml:1:14: error: ttft_s.p50:"), std::string::npos);
  EXPECT_NE(wrong("{ttft_s.p50: 44 GiB}").find("expected"), std::string::npos);
  EXPECT_NE(wrong("{tft_s.p50: 44 ms}").find("no metric 'tft_s.p50'; did you mean 'ttft_s.p50'?"), std::string::npos);
  EXPECT_NE(wrong("{preemptions: []}").find("empty list"), std::string::npos);
}

TEST(MeasuredValues, RepeatsGiveMedianAndSpread) {
  const MeasuredValues v = of("{requests_per_s: [9/s, 10/s, 12/s], duration_s: [1 s, 3 s]}");
  EXPECT_DOUBLE_EQ(v.at("requests_per_s").value, 10);
  EXPECT_DOUBLE_EQ(v.at("requests_per_s").spread, 0.15);
  EXPECT_DOUBLE_EQ(v.at("duration_s").value, 2);
  EXPECT_DOUBLE_EQ(v.at("duration_s").spread, 0.5);
}

class MeasuredFiles : public ::testing::Test {
 protected:
  std::string file(const char* name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  template <class Read>
  static std::string wrong(Read&& read) {
    try {
      read();
      return "";
    } catch (const WorkloadError& error) {
      return error.what();
    }
  }
  testing::Scratch folder_;
};

TEST_F(MeasuredFiles, RequestsByHand) {
  // Two requests from second 2 on: 3 and 1 tokens; the third never ended.
  const MeasuredValues v =
      values_of_requests(file("r.csv",
                              "arrival_s,scheduled_s,first_token_s,finish_s,prompt_tokens,"
                              "output_tokens,status\n"
                              "2,2.5,3,5,10,3,finished\n4,4,6,6,20,1,finished\n5,,,,7,9,rejected\n"));
  EXPECT_DOUBLE_EQ(v.at("duration_s").value, 4);
  EXPECT_DOUBLE_EQ(v.at("requests_per_s").value, 0.5);
  EXPECT_DOUBLE_EQ(v.at("output_tokens_per_s").value, 1);
  EXPECT_DOUBLE_EQ(v.at("ttft_s.mean").value, 1.5);
  EXPECT_DOUBLE_EQ(v.at("tpot_s.p50").value, 1);
  EXPECT_DOUBLE_EQ(v.at("e2el_s.mean").value, 2.5);
  EXPECT_DOUBLE_EQ(v.at("queue_s.mean").value, 0.25);
  EXPECT_FALSE(v.contains("itl_s.mean"));
  EXPECT_FALSE(v.contains("weights_bytes"));
}

TEST_F(MeasuredFiles, RequestsThatCannotBe) {
  const std::string head = "arrival_s,first_token_s,finish_s,prompt_tokens,output_tokens\n";
  const std::pair<std::string, const char*> cases[] = {
      {head + "0,2,1,5,5\n", "r.csv:2:1: error: expected arrival_s <= first_token_s <= finish_s"},
      {head + "0,1,2,5,1.5\n", "output_tokens: expected a whole number"},
      {head + "0,1,2,-5,1\n", "prompt_tokens: expected a whole number"},
      {head + "0,,,5,0\n", "no request was finished"},
      {"arrival_s,finish_s\n0,1\n", "no column 'first_token_s'"},
  };
  for (const auto& damaged : cases) {
    const std::string said = wrong([&] { values_of_requests(file("r.csv", damaged.first)); });
    EXPECT_NE(said.find(damaged.second), std::string::npos) << said;
  }
}

TEST_F(MeasuredFiles, BenchmarkOfVllmsClient) {
  const std::string json = R"({"duration": 10, "request_throughput": 2, "median_ttft_ms": 50, "p99_itl_ms": 7})";
  const MeasuredValues v = values_of_bench(file("b.json", json));
  EXPECT_DOUBLE_EQ(v.at("requests_per_s").value, 2);
  EXPECT_DOUBLE_EQ(v.at("ttft_s.p50").value, 0.05);
  EXPECT_DOUBLE_EQ(v.at("itl_s.p99").value, 0.007);
  EXPECT_EQ(v.size(), 4u);
  for (std::size_t cut = 0; cut < json.size(); ++cut)
    EXPECT_NE(wrong([&] { values_of_bench(file("b.json", json.substr(0, cut))); }), "") << cut;
  EXPECT_NE(wrong([&] { values_of_bench(file("b.json", "{\"x\": 1}")); }).find("request_throughput"),
            std::string::npos);
  EXPECT_NE(wrong([&] { values_of_bench(file("b.json", "{\"duration\": \"x\"}")); }).find("expected a number"),
            std::string::npos);
}

TEST_F(MeasuredFiles, SummaryOfARun) {
  const MeasuredValues v = values_of_summary(
      file("s.json", R"({"duration_s": 5, "throughput": {"requests_per_s": 2}, "scheduler": {"preemptions": 4},
                    "latency": {"ttft_s": {"mean": 0.1, "p50": 0.2, "max": 1}, "tpot_s": {"mean": 0, "max": 0}},
                    "memory": {"weights_bytes": 100, "num_gpu_blocks": 0, "kv_pool_tokens": 7}})"));
  EXPECT_DOUBLE_EQ(v.at("ttft_s.p50").value, 0.2);
  EXPECT_DOUBLE_EQ(v.at("preemptions").value, 4);
  EXPECT_DOUBLE_EQ(v.at("kv_pool_tokens").value, 7);
  EXPECT_FALSE(v.contains("tpot_s.mean"));  // nothing was measured
  EXPECT_NE(wrong([&] { values_of_summary(file("s.json", "[]")); }), "");
}

}  // namespace
}  // namespace headroom
