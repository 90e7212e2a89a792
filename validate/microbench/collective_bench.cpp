// Collectives between the GPUs of this host, many in a row, recorded into CUDA graphs as engines replay them, or
// launched one by one.
//
// Ranks do not start at one time of their own accord: every stream is kept busy until the host has queued all of a
// repetition, then a small all-reduce brings the ranks together, and the time runs on each of them from there. A
// repetition takes as long as its slowest rank. What is sent lies where it was, in the L2 cache if it fits.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <list>
#include <memory>
#include <optional>

#include "validate/kernels/communicator.h"
#include "validate/kernels/elementwise.h"
#include "validate/microbench/bench_device.h"

namespace headroom {
namespace {

constexpr double kReplay = 400e-6;  // seconds of collectives in a row
constexpr double kMostInRow = 24;
constexpr double kQueueing = 100e-6,
                 kLaunching = 20e-6;     // host seconds a rank: of a repetition, of one launch; at most
constexpr double kWarmUp = 0.3;          // seconds
constexpr std::int64_t kMeeting = 1024;  // bytes of the all-reduce that brings ranks together

// The ranks that take part in a point, and what they send: made anew where the number of GPUs changes.
struct Ranks {
  Communicator all;
  std::vector<DeviceBuffer> from, to;
  std::list<StreamTimer> timers;
  std::vector<Graph> meeting;

  Ranks(std::int32_t count, std::int64_t bytes) : all(count) {
    for (std::int32_t rank = 0; rank < count; ++rank) {
      const CurrentDevice on(rank);
      from.emplace_back(bytes);
      to.emplace_back(bytes);
      timers.emplace_back();
      fill_random(Element::kBfloat16, from.back().data(), bytes / 2, static_cast<std::uint64_t>(rank), 1, 0,
                  all.streams()[static_cast<std::size_t>(rank)]);
    }
    // Connections are made at the first use, which cannot be recorded; clocks rise to where they stay.
    all.launch(Collective::kAllReduce, kMeeting, from, to);
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < kWarmUp) {
      all.launch(Collective::kAllReduce, bytes, from, to);
      all.synchronize();
    }
    meeting = Graph::of_streams(all.streams(), [&] { all.launch(Collective::kAllReduce, kMeeting, from, to); });
  }
};

class CollectiveBench {
 public:
  explicit CollectiveBench(std::int64_t most_bytes) : most_bytes_(most_bytes) {}

  // Seconds of one of the point's collectives.
  double run(const CollectivePoint& point) {
    if (point_ != point) prepare(point);
    return repetition();
  }

 private:
  void prepare(const CollectivePoint& point) {
    point_.reset();
    graphs_.clear();  // before the communicator that they use
    if (!ranks_ || ranks_->all.num_ranks() != point.gpus) {
      ranks_.reset();
      ranks_ = std::make_unique<Ranks>(point.gpus, most_bytes_);
    }
    launch(point);
    ranks_->all.synchronize();
    point_ = point;
    in_row_ = 1;
    record();
    repetition();
    in_row_ = std::clamp(std::floor(kReplay / repetition()), 1.0, kMostInRow);
    if (in_row_ > 1) record();
  }

  void launch(const CollectivePoint& point) { ranks_->all.launch(point.kind, point.bytes, ranks_->from, ranks_->to); }

  void launch_row() {
    for (double i = 0; i < in_row_; ++i) launch(*point_);
  }

  void record() {
    if (!point_->in_graph) return;
    graphs_.clear();
    graphs_ = Graph::of_streams(ranks_->all.streams(), [&] { launch_row(); });
  }

  double repetition() {
    const std::span<const Stream> streams = ranks_->all.streams();
    const auto ranks = static_cast<double>(streams.size());
    const double hold = ranks * (kQueueing + (point_->in_graph ? 0 : in_row_ * kLaunching));
    for (std::size_t rank = 0; rank < streams.size(); ++rank) {
      const CurrentDevice on(static_cast<std::int32_t>(rank));
      launch_wait(hold, streams[rank]);
    }
    for (std::size_t rank = 0; rank < streams.size(); ++rank) ranks_->meeting[rank].launch(streams[rank]);
    for (auto timer = ranks_->timers.begin(); const Stream stream : streams) (timer++)->start(stream);
    if (point_->in_graph) {
      for (std::size_t rank = 0; rank < streams.size(); ++rank) graphs_[rank].launch(streams[rank]);
    } else {
      launch_row();
    }
    for (auto timer = ranks_->timers.begin(); const Stream stream : streams) (timer++)->stop(stream);
    double slowest = 0;
    for (const StreamTimer& timer : ranks_->timers) slowest = std::max(slowest, timer.seconds());
    return slowest / in_row_;
  }

  std::int64_t most_bytes_;
  std::unique_ptr<Ranks> ranks_;
  std::optional<CollectivePoint> point_;
  double in_row_ = 1;  // collectives of a repetition
  std::vector<Graph> graphs_;
};

}  // namespace

void add_collectives(const MeasurementPlan& plan, BenchDevice& device) {
  std::int64_t most = 0;
  for (const CollectivePoint& p : plan.collectives) most = std::max(most, p.bytes);
  const auto bench = std::make_shared<CollectiveBench>(most);
  for (const CollectivePoint& p : plan.collectives) {
    MeasuredPoint point;
    point.family = Family::kCollective;
    point.label = label_of(p);
    point.key = {p.gpus, p.bytes};
    device.add_timed(std::move(point), [bench, p] { return bench->run(p); });
  }
}

}  // namespace headroom
