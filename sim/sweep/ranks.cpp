#include "sim/sweep/ranks.h"

#include <cstdlib>
#include <stdexcept>

#ifdef HEADROOM_MPI
#include <mpi.h>
#endif

namespace headroom {

// Set by Open MPI's and MPICH's launchers, and by Slurm's through PMIx or PMI.
bool Ranks::launched_by_mpirun() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

#ifdef HEADROOM_MPI

bool Ranks::built_with_mpi() {
  return true;
}

Ranks::Ranks() {
  if (!launched_by_mpirun()) return;
  setenv("OMPI_MCA_mpi_warn_on_fork", "0", 0);  // workers are forked later; they never touch MPI
  MPI_Init(nullptr, nullptr);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
}

Ranks::~Ranks() {
  int begun = 0, ended = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&ended);
  if (begun != 0 && ended == 0) MPI_Finalize();
}

void Ranks::send(int to, const std::string& text) const {
  MPI_Send(text.data(), static_cast<int>(text.size()), MPI_CHAR, to, 0, MPI_COMM_WORLD);
}

std::optional<Ranks::Message> Ranks::receive() const {
  if (size_ == 1) return std::nullopt;
  int there = 0, size = 0;
  MPI_Status status;
  MPI_Iprobe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &there, &status);
  if (there == 0) return std::nullopt;
  MPI_Get_count(&status, MPI_CHAR, &size);
  Message message{status.MPI_SOURCE, std::string(static_cast<std::size_t>(size), '\0')};
  MPI_Recv(message.text.data(), size, MPI_CHAR, message.from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return message;
}

bool Ranks::any(bool here) const {
  if (size_ == 1) return here;
  const int mine = here ? 1 : 0;
  int all = 0;
  MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  return all != 0;
}

void Ranks::abort(int code) const {
  if (size_ > 1) MPI_Abort(MPI_COMM_WORLD, code);
}

#else

bool Ranks::built_with_mpi() {
  return false;
}
Ranks::Ranks() {
  if (launched_by_mpirun())
    throw std::runtime_error("this build has no MPI; install libopenmpi-dev and build again, or run one process");
}
Ranks::~Ranks() = default;
void Ranks::send(int, const std::string&) const {}
std::optional<Ranks::Message> Ranks::receive() const {
  return std::nullopt;
}
bool Ranks::any(bool here) const {
  return here;
}
void Ranks::abort(int) const {}

#endif

}  // namespace headroom
