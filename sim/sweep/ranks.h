// The processes of an mpirun (or srun), on one host or many, and messages between them. The only door to MPI.
//
// A process that no mpirun started is rank 0 of 1 and never touches MPI; a build without MPI has only those.
#pragma once

#include <optional>
#include <string>

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
  void send(int to, const std::string& text) const;
  struct Message {
    int from;
    std::string text;
  };
  std::optional<Message> receive() const;  // one that has come; does not wait
  bool any(bool here) const;               // true on some rank; waits for all
  void abort(int code) const;              // ends every rank

 private:
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace headroom
