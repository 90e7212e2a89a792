// Collectives of a made-up host that are exactly the simulator's law: the fit returns it, and so does the profile.
#include "validate/microbench/collective_fit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "sim/config/catalogue.h"
#include "sim/output/files.h"
#include "validate/microbench/plan.h"
#include "validate/microbench/profile.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

const std::string kBase = HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml";
constexpr std::int64_t kMemory = std::int64_t{80} << 30;

// Each point's time by the law, times what `off` says of it.
template <class Off>
std::vector<MeasuredPoint> by_law(const CollectiveLink& link, std::int32_t gpus, Off off) {
  std::vector<MeasuredPoint> points;
  for (const CollectivePoint& c : plan_collectives(gpus, kMemory, false)) {
    MeasuredPoint p;
    p.family = Family::kCollective;
    p.label = label_of(c);
    p.key = {c.gpus, c.bytes};
    const double seconds = collective_seconds(link, p) * off(p);
    summarize_samples({seconds, seconds, seconds}, p);
    points.push_back(p);
  }
  return points;
}
double exactly(const MeasuredPoint&) {
  return 1;
}

TEST(Collectives, TheLawIsTheSimulators) {
  const CollectiveLink link{BytesPerSecond{200e9}, Seconds{10e-6}};
  const auto seconds = [&](const char* kind, std::int64_t gpus) {
    MeasuredPoint p;
    p.family = Family::kCollective;
    p.label = kind;
    p.key = {gpus, 8'000'000};
    return collective_seconds(link, p);
  };
  EXPECT_NEAR(seconds("all-reduce", 2), 10e-6 + 8e6 / 200e9, 1e-12);
  EXPECT_NEAR(seconds("all-reduce", 8), 10e-6 + 2 * 7e6 / 200e9, 1e-12);
  EXPECT_NEAR(seconds("all-reduce-launched", 8), 10e-6 + 2 * 7e6 / 200e9, 1e-12);
  for (const char* kind : {"all-gather", "reduce-scatter", "all-to-all"})
    EXPECT_NEAR(seconds(kind, 4), 10e-6 + 6e6 / 200e9, 1e-12) << kind;
  EXPECT_NEAR(seconds("send-receive", 2), 10e-6 + 8e6 / 200e9, 1e-12);
}

TEST(Collectives, TheFitReturnsTheLawThatThePointsFollow) {
  for (const std::int32_t gpus : {2, 4, 8})
    for (const double bandwidth : {3e9, 250e9, 800e9})
      for (const double latency : {2e-6, 40e-6}) {
        const CollectiveLink link{BytesPerSecond{bandwidth}, Seconds{latency}};
        const auto fit = fit_collectives(by_law(link, gpus, exactly));
        ASSERT_TRUE(fit.has_value());
        EXPECT_NEAR(fit->bandwidth.rate() / bandwidth, 1, 1e-9);
        EXPECT_NEAR(fit->latency.count() / latency, 1, 1e-9);
      }
}

TEST(Collectives, OnlyAllReducesInGraphsAreFitted) {
  const CollectiveLink link{BytesPerSecond{250e9}, Seconds{8e-6}};
  const auto fit =
      fit_collectives(by_law(link, 8, [](const MeasuredPoint& p) { return is_fitted_collective(p) ? 1.0 : 3.0; }));
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR(fit->bandwidth.rate(), 250e9, 1e3);
  EXPECT_NEAR(fit->latency.count(), 8e-6, 1e-12);
}

TEST(Collectives, ErrorsOfEitherSideWeighAlike) {
  // Every other size takes 1.2 times as long, or that much less: the law in the middle of both is the nearest.
  const CollectiveLink link{BytesPerSecond{250e9}, Seconds{8e-6}};
  const auto fit = fit_collectives(by_law(link, 2, [slow = false](const MeasuredPoint&) mutable {
    slow = !slow;
    return slow ? 1.2 : 1 / 1.2;
  }));
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR(fit->bandwidth.rate() / 250e9, 1, 0.05);
  EXPECT_NEAR(fit->latency.count() / 8e-6, 1, 0.05);
}

TEST(Collectives, PointsThatSayNothingAreNotFitted) {
  EXPECT_FALSE(fit_collectives({}).has_value());
  MeasuredPoint p;
  p.family = Family::kCollective;
  p.label = "all-reduce";
  p.key = {2, 1024};
  p.seconds = 8e-6;
  EXPECT_FALSE(fit_collectives(std::vector{p}).has_value());
  MeasuredPoint larger = p;
  larger.key = {2, 1 << 20};  // in no more time
  EXPECT_FALSE(fit_collectives(std::vector{p, larger}).has_value());
}

TEST(Collectives, AThirdOfAllReducesIsHeldOutAndWhatIsInNoFitIsPredicted) {
  const CollectiveLink link{BytesPerSecond{250e9}, Seconds{8e-6}};
  const std::vector<MeasuredPoint> points =
      by_law(link, 8, [](const MeasuredPoint& p) { return p.label == "all-to-all" ? 2.0 : 1.0; });
  const HardwareProfile base = read_hardware(kBase);
  const std::vector<HeldOut> held = hold_out_a_third(base, fit_efficiencies(base, points), points);
  const ErrorSummary reduce = error_of(Family::kCollective, held, "all-reduce");
  EXPECT_GE(reduce.count, 57u / 5);  // of 19 sizes between 2, 4 and 8 GPUs
  EXPECT_LE(reduce.count, 57u / 2);
  EXPECT_LT(reduce.p95, 1e-9);
  EXPECT_EQ(error_of(Family::kCollective, held, "all-gather").count, 57u);
  EXPECT_LT(error_of(Family::kCollective, held, "all-gather").p95, 1e-9);
  EXPECT_NEAR(error_of(Family::kCollective, held, "all-to-all").median, 0.5, 1e-9);
  EXPECT_NE(held_out_csv(held).find("collective,operation=all-to-all gpus=8 bytes=1024,"), std::string::npos);
}

TEST(Collectives, AProfileOfCollectivesAloneKeepsTheRestOfItsBase) {
  const fs::path folder = fs::temp_directory_path() / ("headroom_collective_test_" + std::to_string(::getpid()));
  const std::string file = (folder / "made-up.yaml").string(), facts_file = (folder / "device.yaml").string();
  CalibrationFacts facts{"Made-up 9000", 90,     100,        1'000'000'000, 5'000'000,
                         "CUDA 13.0",    "13.0", "as found", "2026-01-01",  "2.28.9"};
  write_text_file(facts_file, facts_text(facts));
  EXPECT_EQ(read_facts(facts_file).nccl, "2.28.9");
  // Off by 10 % up and down, and the profile says so of transfers.
  const auto off = [slow = false](const MeasuredPoint&) mutable {
    slow = !slow;
    return slow ? 1.1 : 1 / 1.1;
  };
  const std::vector<MeasuredPoint> points = by_law({BytesPerSecond{321e9}, Seconds{7.5e-6}}, 4, off);
  const HardwareProfile base = read_hardware(kBase);
  const Efficiencies fit = fit_efficiencies(base, points);
  const std::vector<HeldOut> held = hold_out_a_third(base, fit, points);
  write_profile(file, kBase, facts, fit, uncertainty_of(points, held), points);
  const HardwareProfile p = read_hardware(file);
  EXPECT_NEAR(p.all_reduce_bandwidth.rate(), 321e9, 16e9);
  EXPECT_NEAR(p.collective_latency.count(), 7.5e-6, 0.4e-6);
  EXPECT_NEAR(p.uncertainty.transfer, std::log(1.1), 0.03);
  EXPECT_EQ(p.num_sms, 100);
  EXPECT_EQ(p.uncertainty.gemm, base.uncertainty.gemm);
  EXPECT_EQ(p.gemm_compute_efficiency, base.gemm_compute_efficiency);
  EXPECT_EQ(p.kernel_fixed_time, base.kernel_fixed_time);
  EXPECT_EQ(p.pcie_bandwidth, base.pcie_bandwidth);
  EXPECT_EQ(p.copy_latency, base.copy_latency);
  ASSERT_EQ(p.gemm_tables.size(), base.gemm_tables.size());
  EXPECT_EQ(p.gemm_tables[0].points.size(), base.gemm_tables[0].points.size());
  EXPECT_EQ(p.decode_attention_tables.size(), base.decode_attention_tables.size());
  EXPECT_EQ(p.prefill_attention_tables.size(), base.prefill_attention_tables.size());
  fs::remove_all(folder);
}

TEST(Collectives, ThePlanIsForAsManyGpusAsThereAre) {
  EXPECT_TRUE(plan_collectives(1, kMemory, false).empty());
  const auto gpus_of = [](std::int32_t gpus) {
    std::set<std::int32_t> used;
    for (const CollectivePoint& p : plan_collectives(gpus, kMemory, false)) used.insert(p.gpus);
    return used;
  };
  EXPECT_EQ(gpus_of(2), (std::set<std::int32_t>{2}));
  EXPECT_EQ(gpus_of(7), (std::set<std::int32_t>{2, 4}));
  EXPECT_EQ(gpus_of(8), (std::set<std::int32_t>{2, 4, 8}));
  for (const bool quick : {false, true})
    for (const CollectivePoint& p : plan_collectives(8, kMemory, quick)) {
      EXPECT_EQ(p.bytes % (2 * p.gpus), 0);  // whole numbers on each rank
      EXPECT_GE(p.bytes, 1 << 10);
      EXPECT_LE(p.bytes, 1 << 28);
    }
  for (const CollectivePoint& p : plan_collectives(2, std::int64_t{2} << 30, false)) EXPECT_LE(p.bytes, 1 << 27);
}

}  // namespace
}  // namespace headroom
