#include "sim/report/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace headroom {
namespace {

TEST(Metrics, ChangesSayHowMuchAndWhetherForTheBetter) {
  const Metric &ttft = *metric_at("latency.ttft_s.p99"), &rate = *metric_at("throughput.requests_per_s"),
               &slo = *metric_at("goodput.fraction"), &batch = *metric_at("scheduler.mean_batch"),
               &preemptions = *metric_at("scheduler.preemptions");
  struct Case {
    const Metric& metric;
    double from, to;
    const char* text;
    int verdict;
  };
  for (const Case& c :
       {Case{ttft, 2, 1.5, "-25.0 %, better", 1}, Case{ttft, 1, 3, "3 times as much, worse", -1},
        Case{ttft, 4, 1, "4 times less, better", 1}, Case{rate, 1, 1.1, "+10.0 %, better", 1},
        Case{slo, 0.5, 0.45, "-5.0 points, worse", -1}, Case{batch, 1, 5, "5 times as much", 0},
        Case{preemptions, 0, 7, "+7, worse", -1}, Case{ttft, 1, 1, "same", 0}, Case{ttft, std::nan(""), 1, "", 0}}) {
    const Change change = change_of(c.metric, c.from, c.to);
    EXPECT_EQ(change.text, c.text);
    EXPECT_EQ(change.verdict, c.verdict) << c.text;
  }
}

TEST(Metrics, EachHasOnePath) {
  std::set<std::string_view> paths;
  for (const Metric& metric : metrics()) EXPECT_TRUE(paths.insert(metric.path).second) << metric.path;
  EXPECT_EQ(metric_at("no.such"), nullptr);
  EXPECT_EQ(text_of(*metric_at("memory.kv_pool_bytes"), 3.0 * (1 << 30)), "3.00 GiB");
}

}  // namespace
}  // namespace headroom
