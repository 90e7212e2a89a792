// PyTorch's caching allocator, sequence by sequence as SEMANTICS 6.6 has its rules.
#include "sim/memory/caching_allocator.h"

#include <gtest/gtest.h>

#include "models/units.h"

namespace headroom {
namespace {

TEST(CachingAllocator, SegmentsBySize) {
  struct {
    std::int64_t request, allocated, reserved;
  } cases[] = {{1, 512, 2 * kMiB},
               {kMiB, kMiB, 2 * kMiB},
               {kMiB + 1, kMiB + 512, 20 * kMiB},
               {10 * kMiB - 512, 10 * kMiB - 512, 20 * kMiB},
               {10 * kMiB + 512, 10 * kMiB + 512, 12 * kMiB},
               {33 * kMiB, 33 * kMiB, 34 * kMiB}};
  for (const auto& c : cases) {
    CachingAllocator device(1000 * kMiB);
    ASSERT_TRUE(device.allocate(c.request));
    EXPECT_EQ(device.reserved(), c.reserved) << c.request;
    EXPECT_GE(device.allocated(), c.allocated) << c.request;
  }
}

TEST(CachingAllocator, SmallBlocksShareASegment) {
  CachingAllocator device(100 * kMiB);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(device.allocate(512 * 1024));
  EXPECT_EQ(device.reserved(), 2 * kMiB);
  ASSERT_TRUE(device.allocate(512));
  EXPECT_EQ(device.reserved(), 4 * kMiB);
}

TEST(CachingAllocator, FreedBlocksAreReusedBestFitFirst) {
  CachingAllocator device(1000 * kMiB);
  const std::int64_t large = *device.allocate(60 * kMiB), fitting = *device.allocate(40 * kMiB);
  device.free(large);
  device.free(fitting);
  EXPECT_EQ(device.reserved(), 100 * kMiB);
  EXPECT_EQ(*device.allocate(40 * kMiB), fitting);
  EXPECT_EQ(device.reserved(), 100 * kMiB);
}

TEST(CachingAllocator, AGrowingTensorLeavesItsOldSegmentsBehind) {
  CachingAllocator device(1000 * kMiB);
  std::int64_t before = *device.allocate(20 * kMiB);
  for (std::int64_t size = 22; size <= 40; size += 2) {
    const std::int64_t now = *device.allocate(size * kMiB);
    device.free(before);
    before = now;
  }
  EXPECT_EQ(device.allocated(), 40 * kMiB);
  EXPECT_GT(device.reserved(), 100 * kMiB);
}

TEST(CachingAllocator, GivesCachedSegmentsBackBeforeItFails) {
  CachingAllocator device(100 * kMiB);
  const std::int64_t a = *device.allocate(60 * kMiB);
  EXPECT_FALSE(device.allocate(50 * kMiB));
  device.free(a);
  ASSERT_TRUE(device.allocate(90 * kMiB)) << "the cached 60 MiB are given back first";
  EXPECT_EQ(device.reserved(), 90 * kMiB);
  EXPECT_EQ(device.peak_reserved(), 90 * kMiB);
}

}  // namespace
}  // namespace headroom
