// GPUs of this host as the ranks of one communicator, through NCCL: collectives of bf16 numbers, a stream for each
// rank, all from one thread.
//
// A collective is put on the streams of all ranks at once and may be recorded into graphs (Graph::of_streams). A build
// without NCCL has no communicators: nccl_version() is empty and making one fails.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "validate/kernels/collective.h"
#include "validate/kernels/device.h"

namespace headroom {

std::string nccl_version();  // "2.28.9", of the library that runs; empty: built without NCCL

class Communicator {
 public:
  explicit Communicator(std::int32_t ranks);  // GPUs 0 to ranks - 1
  ~Communicator();
  Communicator(const Communicator&) = delete;

  std::span<const Stream> streams() const { return streams_; }
  std::int32_t num_ranks() const { return static_cast<std::int32_t>(streams_.size()); }
  void synchronize() const;

  // `bytes` are counted as the simulator does (models/hardware.h): an all-reduce's vector; all parts of an all-gather's
  // result or of a reduce-scatter's operand; what each rank of an all-to-all sends, to itself too; the one message of a
  // send-receive, from the first rank to the second. A multiple of 2 times the ranks. `from` and `to`: a buffer on each
  // rank, of so many bytes at least. What a rank has for all comes in order of the ranks.
  void launch(Collective kind, std::int64_t bytes, std::span<const DeviceBuffer> from,
              std::span<const DeviceBuffer> to) const;

 private:
  struct Ranks;
  std::unique_ptr<Ranks> ranks_;
  std::vector<Stream> streams_;
};

}  // namespace headroom
