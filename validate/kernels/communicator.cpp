#include "validate/kernels/communicator.h"

#include <nccl.h>

#include <list>
#include <numeric>
#include <stdexcept>

namespace headroom {
namespace {

void check(ncclResult_t code) {
  if (code != ncclSuccess) throw std::runtime_error(std::string("NCCL: ") + ncclGetErrorString(code));
}

// Calls between its begin and end() start together. A group that is not ended because of an error is closed all the
// same.
class Group {
 public:
  Group() { check(ncclGroupStart()); }
  ~Group() {
    if (open_) ncclGroupEnd();
  }
  Group(const Group&) = delete;
  void end() {
    open_ = false;
    check(ncclGroupEnd());
  }

 private:
  bool open_ = true;
};

}  // namespace

std::string nccl_version() {
  int version = 0;
  check(ncclGetVersion(&version));
  return std::to_string(version / 10'000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

struct Communicator::Ranks {
  std::vector<ncclComm_t> of;
  std::list<OwnedStream> streams;

  explicit Ranks(std::int32_t count) : of(static_cast<std::size_t>(count), nullptr) {
    for (std::int32_t rank = 0; rank < count; ++rank) {
      const CurrentDevice on(rank);
      streams.emplace_back();
    }
    std::vector<int> devices(of.size());
    std::iota(devices.begin(), devices.end(), 0);
    check(ncclCommInitAll(of.data(), count, devices.data()));
  }
  ~Ranks() {
    for (const ncclComm_t rank : of) ncclCommDestroy(rank);
  }
};

Communicator::Communicator(std::int32_t ranks) : ranks_(std::make_unique<Ranks>(ranks)) {
  for (const OwnedStream& stream : ranks_->streams) streams_.push_back(stream);
}
Communicator::~Communicator() = default;

void Communicator::synchronize() const {
  for (const Stream stream : streams_) wait_for(stream);
}

void Communicator::launch(Collective kind, std::int64_t bytes, std::span<const DeviceBuffer> from,
                          std::span<const DeviceBuffer> to) const {
  const std::size_t ranks = streams_.size();
  const std::size_t all = static_cast<std::size_t>(bytes) / 2, part = all / ranks;  // numbers
  Group group;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const void* const sent = from[rank].data();
    void* const received = to[rank].data();
    const ncclComm_t own = ranks_->of[rank];
    const Stream stream = streams_[rank];
    switch (kind) {
      case Collective::kAllReduce:
        check(ncclAllReduce(sent, received, all, ncclBfloat16, ncclSum, own, stream));
        break;
      case Collective::kAllGather:
        check(ncclAllGather(sent, received, part, ncclBfloat16, own, stream));
        break;
      case Collective::kReduceScatter:
        check(ncclReduceScatter(sent, received, part, ncclBfloat16, ncclSum, own, stream));
        break;
      case Collective::kAllToAll:
        for (std::size_t other = 0; other < ranks; ++other) {
          const auto offset = static_cast<std::int64_t>(other * part * 2);
          check(ncclSend(from[rank].at(offset), part, ncclBfloat16, static_cast<int>(other), own, stream));
          check(ncclRecv(to[rank].at(offset), part, ncclBfloat16, static_cast<int>(other), own, stream));
        }
        break;
      case Collective::kSendReceive:
        if (rank == 0) check(ncclSend(sent, all, ncclBfloat16, 1, own, stream));
        if (rank == 1) check(ncclRecv(received, all, ncclBfloat16, 0, own, stream));
        break;
    }
  }
  group.end();
}

}  // namespace headroom
