// The processes of an mpirun (or srun), on one host or many, and messages between them.
//
// A process that no mpirun started is rank 0 of 1 and never touches MPI; a build without MPI has only those.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sim/sweep/rank_link.h"

namespace headroom {

class Ranks {
 public:
  Ranks();
  ~Ranks();
  Ranks(const Ranks&) = delete;

  static bool built_with_mpi();
  static bool launched_by_mpirun();

  int rank() const { return rank_; }
  int size() const { return size_; }
  void send(int to, const std::string& text) const;  // requires a size above 1
  using Message = RankLink::Message;
  std::optional<Message> receive() const;  // one that has come; does not wait
  bool any(bool here) const;               // true on some rank; waits for all
  void abort(int code) const;              // ends every rank

 private:
  std::unique_ptr<RankLink> link_;  // none without an mpirun
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace headroom
