// Every shipped profile reads, and says what it rests on.
#include <gtest/gtest.h>

#include <tuple>

#include "sim/config/catalogue.h"

namespace headroom {
namespace {

HardwareProfile card(const std::string& name) {
  return read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/" + name + ".yaml");
}

TEST(Profiles, AskedForOnesAreThere) {
  for (const char* name : {"a10g", "l4", "a100-40gb", "a100-80gb", "h100-sxm", "h200-sxm", "v100-32gb", "rtx-4090",
                           "a6000", "l40s", "rtx-3090"}) {
    const HardwareProfile p = card(name);
    EXPECT_GT(p.memory.count(), 20 * kGiB) << name;
    EXPECT_FALSE(p.source.text.empty()) << name;
    EXPECT_NE(p.source.evidence, Evidence::kMeasured) << name << ": no profile of ours is measured throughout";
  }
}

TEST(Profiles, A10gIsTheCardOfG5NotTheDataSheetsA10) {
  const HardwareProfile p = card("a10g");
  EXPECT_EQ(p.memory.count(), 22589 * kMiB);
  const double reached = p.peak[static_cast<std::size_t>(DType::kFloat16)].rate() * p.gemm_compute_efficiency;
  EXPECT_GE(reached, 52e12);
  EXPECT_LE(reached, 66e12);
  const double streamed = p.memory_bandwidth.rate() * p.gemm_memory_efficiency;
  EXPECT_GE(streamed, 395e9);
  EXPECT_LE(streamed, 518e9);
}

TEST(Profiles, VoltaHasNoBfloat16) {
  EXPECT_EQ(card("v100-32gb").peak[static_cast<std::size_t>(DType::kBfloat16)].rate(), 0);
}

TEST(Profiles, TablesAreSortedAndPositive) {
  for (const char* name : {"h100-sxm", "a100-80gb", "l40s", "rtx-4090", "a6000", "rtx-3090"}) {
    const HardwareProfile p = card(name);
    ASSERT_FALSE(p.gemm_tables.empty()) << name;
    for (const GemmTable& t : p.gemm_tables) {
      EXPECT_EQ(t.source.evidence, Evidence::kMeasured);
      for (std::size_t i = 1; i < t.points.size(); ++i)
        ASSERT_LT(std::tuple(t.points[i - 1].n, t.points[i - 1].k, t.points[i - 1].m),
                  std::tuple(t.points[i].n, t.points[i].k, t.points[i].m));
      for (const auto& point : t.points) ASSERT_GT(point.time.count(), 0);
    }
  }
}

}  // namespace
}  // namespace headroom
