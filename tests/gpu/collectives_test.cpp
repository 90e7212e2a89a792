// Every kind of collective between 2, 4 and 8 GPUs against plain sums and copies on the host, launched and replayed
// from CUDA graphs. Numbers are small integers: bf16 holds their sums exactly, whatever the order.
#include "tests/gpu/gpu.h"
#include "validate/kernels/communicator.h"

namespace headroom {
namespace {

constexpr std::int64_t kCount = 4096;

// What a rank sends: whole numbers from -8 to 7.
double sent(std::int64_t rank, std::int64_t i) {
  return static_cast<double>((rank * 31 + i * 7 + i / 64) % 16 - 8);
}

// Number i of what `rank` of `ranks` has afterwards.
double expected(Collective kind, std::int64_t ranks, std::int64_t rank, std::int64_t i) {
  const std::int64_t part = kCount / ranks;
  const auto sum = [&](std::int64_t at) {
    double total = 0;
    for (std::int64_t r = 0; r < ranks; ++r) total += sent(r, at);
    return total;
  };
  switch (kind) {
    case Collective::kAllReduce:
      return sum(i);
    case Collective::kAllGather:
      return sent(i / part, i % part);
    case Collective::kReduceScatter:
      return i < part ? sum(rank * part + i) : 0;
    case Collective::kAllToAll:
      return sent(i / part, rank * part + i % part);
    case Collective::kSendReceive:
      return rank == 1 ? sent(0, i) : 0;
  }
  return 0;
}

class Collectives : public testing::TestWithParam<std::int32_t> {};

TEST_P(Collectives, EveryRankHasWhatPlainSumsAndCopiesGive) {
  const std::int32_t ranks = GetParam();
  if (num_devices() < ranks) GTEST_SKIP() << "needs " << ranks << " GPUs, here are " << num_devices();
  if (nccl_version().empty()) GTEST_SKIP() << "built without NCCL";
  const Communicator all(ranks);
  std::vector<DeviceBuffer> from, to;
  for (std::int32_t rank = 0; rank < ranks; ++rank) {
    const CurrentDevice on(rank);
    std::vector<std::uint16_t> bits;
    for (std::int64_t i = 0; i < kCount; ++i)
      bits.push_back(bits_of(Element::kBfloat16, static_cast<float>(sent(rank, i))));
    const Stream stream = all.streams()[static_cast<std::size_t>(rank)];
    from.push_back(on_device(std::span<const std::uint16_t>(bits), stream));
    wait_for(stream);
    to.emplace_back(2 * kCount);
  }
  for (const Collective kind : {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter,
                                Collective::kAllToAll, Collective::kSendReceive})
    for (const bool replayed : {false, true}) {
      SCOPED_TRACE(std::string(name_of(kind)) + (replayed ? " from a graph" : " launched"));
      const auto clear = [&] {
        for (std::size_t rank = 0; rank < to.size(); ++rank) {
          const CurrentDevice on(static_cast<std::int32_t>(rank));
          set_zero(to[rank].data(), 2 * kCount, all.streams()[rank]);
        }
      };
      clear();
      all.launch(kind, 2 * kCount, from, to);
      all.synchronize();
      if (replayed) {
        const std::vector<Graph> graphs =
            Graph::of_streams(all.streams(), [&] { all.launch(kind, 2 * kCount, from, to); });
        clear();
        for (std::size_t rank = 0; rank < graphs.size(); ++rank) graphs[rank].launch(all.streams()[rank]);
        all.synchronize();
      }
      for (std::int32_t rank = 0; rank < ranks; ++rank) {
        const std::vector<double> got = download(Element::kBfloat16, to[static_cast<std::size_t>(rank)].data(), kCount,
                                                 all.streams()[static_cast<std::size_t>(rank)]);
        std::vector<double> wanted;
        for (std::int64_t i = 0; i < kCount; ++i) wanted.push_back(expected(kind, ranks, rank, i));
        EXPECT_EQ(got, wanted) << "rank " << rank;
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Gpus, Collectives, testing::Values(2, 4, 8),
                         [](const auto& gpus) { return std::to_string(gpus.param); });

}  // namespace
}  // namespace headroom
