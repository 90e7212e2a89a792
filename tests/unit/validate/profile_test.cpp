// From measured points to a profile that the simulator reads, on a made-up card that is exactly its own roofline.
#include "validate/microbench/profile.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "models/operator_graph.h"
#include "sim/config/catalogue.h"
#include "validate/microbench/plan.h"

namespace headroom {
namespace {

namespace fs = std::filesystem;

const std::string kBase = HEADROOM_SOURCE_DIR "/configs/hardware/h100-sxm.yaml";

MeasuredPoint point(Family family, std::string label, std::vector<std::int64_t> key, double seconds) {
  MeasuredPoint p;
  p.family = family;
  p.label = std::move(label);
  p.key = std::move(key);
  summarize_samples({seconds * 0.99, seconds, seconds * 1.01}, p);
  return p;
}

// Products at 500 TFLOP/s or 2 TB/s, attention at 2.5 TB/s, streaming kernels at 1 us and 2 TB/s.
std::vector<MeasuredPoint> made_up() {
  std::vector<MeasuredPoint> points;
  for (const std::int64_t n : {4096, 14336})
    for (std::int64_t m = 1; m <= 16384; m *= 2) {
      const auto size = static_cast<double>(n * 8192), rows = static_cast<double>(m);
      points.push_back(
          point(Family::kGemm, "bfloat16", {m, n, 8192},
                std::max(2 * size * rows / 500e12, 2 * (size + rows * static_cast<double>(n + 8192)) / 2e12)));
    }
  for (const std::int64_t batch : {8, 32, 128})
    for (std::int64_t context = 64; context <= 8192; context *= 2)
      points.push_back(point(Family::kDecodeAttention, "bfloat16", {64, 32, 8, batch, context},
                             2e-6 + static_cast<double>(4 * 64 * 8 * batch * context) / 2.5e12));
  for (std::int64_t n = 64; n <= 16384; n *= 2)
    points.push_back(point(Family::kPrefillAttention, "bfloat16", {64, 32, 8, 1, n, 0},
                           3e-6 + static_cast<double>(2 * n * n * 64 * 32) / 300e12));
  for (const char* kernel : {"norm", "rope", "silu-mul", "kv-write", "copy"})
    for (std::int64_t bytes = 10'000; bytes <= 80'000'000; bytes *= 2)
      points.push_back(point(Family::kStreaming, kernel, {bytes}, 1e-6 + static_cast<double>(bytes) / 2e12));
  points.push_back(point(Family::kOverhead, "dependent-in-graph", {200}, 1.1e-6));
  points.push_back(point(Family::kOverhead, "dependent-in-stream", {200}, 1.6e-6));
  points.push_back(point(Family::kHostCopy, "to-device-pinned", {1 << 28, 1}, 5e-3));
  points.push_back(point(Family::kHostCopy, "to-device-pinned", {4096, 512}, 512e-6));
  return points;
}

TEST(Calibration, AProfileIsWrittenThatReadsBackAsMeasured) {
  const fs::path folder = fs::temp_directory_path() / ("headroom_profile_test_" + std::to_string(::getpid()));
  const std::string file = (folder / "made-up.yaml").string();
  const std::vector<MeasuredPoint> points = made_up();
  const Efficiencies fit = fit_efficiencies(read_hardware(kBase), points);
  CalibrationFacts facts{"Made-up 9000", 90,     100,        1'000'000'000, 5'000'000,
                         "CUDA 13.0",    "13.0", "as found", "2026-01-01",  ""};
  const std::vector<HeldOut> held = hold_out_a_third(read_hardware(kBase), fit, points);
  write_profile(file, kBase, facts, fit, uncertainty_of(points, held), points);
  const HardwareProfile p = read_hardware(file);
  EXPECT_EQ(p.device, "Made-up 9000");
  EXPECT_EQ(p.num_sms, 100);
  EXPECT_EQ(p.memory.count(), 1'000'000'000);
  EXPECT_DOUBLE_EQ(p.memory_bandwidth.rate(), 3350e9);  // the data sheet's, from the base
  EXPECT_NEAR(p.gemm_compute_efficiency, 500.0 / 989, 0.001);
  EXPECT_NEAR(p.graph_kernel_gap.count(), 1.1e-6, 1e-12);
  EXPECT_NEAR(p.pcie_bandwidth.rate(), (1 << 28) / 5e-3, 1e8);
  EXPECT_NEAR(p.copy_latency.count(), 1e-6, 1e-12);
  ASSERT_EQ(p.gemm_tables.size(), 1u);
  EXPECT_EQ(p.gemm_tables[0].points.size(), 30u);
  ASSERT_EQ(p.decode_attention_tables.size(), 1u);
  EXPECT_EQ(p.decode_attention_tables[0].points.front().head_dim, 64);
  EXPECT_EQ(p.prefill_attention_tables.at(0).points.size(), 9u);
  ASSERT_TRUE(p.streaming_table.has_value());
  for (const StreamingTable::Point& s : p.streaming_table->points) {
    if (s.bytes > 10'000) {
      EXPECT_NEAR(s.time.count() / (1e-6 + static_cast<double>(s.bytes) / 2e12), 1, 0.03) << s.bytes;
    }
  }
  fs::remove_all(folder);
}

TEST(Calibration, TablesReadBackAndNameWhatIsWrong) {
  const fs::path file = fs::temp_directory_path() / ("headroom_table_test_" + std::to_string(::getpid()));
  const std::vector<MeasuredPoint> points = made_up();
  for (const Family family : {Family::kGemm, Family::kStreaming}) {
    std::ofstream(file) << table_csv(family, points);
    const std::vector<MeasuredPoint> back = read_table(family, file.string());
    std::size_t i = 0;
    for (const MeasuredPoint& p : points) {
      if (p.family != family) continue;
      ASSERT_LT(i, back.size());
      EXPECT_EQ(back[i].key, p.key);
      EXPECT_NEAR(back[i].seconds / p.seconds, 1, 1e-4);
      EXPECT_EQ(back[i++].repetitions, 3);
    }
    EXPECT_EQ(i, back.size());
  }
  std::ofstream(file) << "dtype,m,n,k,time_us,spread_pct,repetitions\nbfloat16,1,2,3\n";
  EXPECT_THROW(read_table(Family::kGemm, file.string()), std::runtime_error);
  EXPECT_THROW(read_table(Family::kDecodeAttention, file.string()), std::runtime_error);
  fs::remove(file);
}

TEST(Calibration, HeldOutPointsOfARegularCardArePredicted) {
  const std::vector<MeasuredPoint> points = made_up();
  const HardwareProfile base = read_hardware(kBase);
  const std::vector<HeldOut> held = hold_out_a_third(base, fit_efficiencies(base, points), points);
  EXPECT_GT(error_of(Family::kDecodeAttention, held).count, 4u);
  EXPECT_LT(error_of(Family::kDecodeAttention, held).median, 0.02);
  EXPECT_LT(error_of(Family::kGemm, held).median, 0.10);
}

TEST(Calibration, ThePlanCoversEveryShippedModelAndFitsTheCard) {
  std::vector<ModelShape> models;
  for (const std::string& name : catalogue_names("models"))
    models.push_back(read_model(HEADROOM_SOURCE_DIR "/configs/models/" + name + ".yaml"));
  const std::int64_t a10g = std::int64_t{22} << 30;
  const MeasurementPlan plan = plan_measurements(models, a10g, false, false);
  for (const ModelShape& m : models)
    for (const GemmOp& g : forward_ops(m, {}).gemms) {
      if (g.num_experts > 1 || g.n % 8 != 0) continue;
      EXPECT_TRUE(std::any_of(plan.gemms.begin(), plan.gemms.end(),
                              [&](const GemmShape& s) { return s.n == g.n && s.k == g.k; }))
          << m.name << " " << g.name;
    }
  for (const GemmShape& s : plan.gemms) EXPECT_LE(s.n * s.k * bytes_of(s.type), a10g / 8);
  const MeasurementPlan quick = plan_measurements(models, a10g, false, true);
  EXPECT_LT(quick.gemms.size() + quick.decodes.size(), (plan.gemms.size() + plan.decodes.size()) / 2);
  std::cout << plan.gemms.size() << " products, " << plan.decodes.size() << " decode, " << plan.layouts.size()
            << " layouts, " << plan.prefills.size() << " prefill; quick " << quick.gemms.size() << ", "
            << quick.decodes.size() << ", " << quick.prefills.size() << "\n";
}

}  // namespace
}  // namespace headroom
