#include "sim/sweep/ranks.h"

#include <cstdlib>
#include <stdexcept>

#include "sim/engine/module.h"

namespace headroom {

// Set by Open MPI's and MPICH's launchers, and by Slurm's through PMIx or PMI.
bool Ranks::launched_by_mpirun() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

bool Ranks::built_with_mpi() {
#ifdef HEADROOM_MPI_MODULE
  return true;
#else
  return false;
#endif
}

Ranks::Ranks() {
  if (!launched_by_mpirun()) return;
#ifdef HEADROOM_MPI_MODULE
  setenv("OMPI_MCA_mpi_warn_on_fork", "0", 0);  // workers are forked later; they never touch MPI
  using Make = RankLink* (*)();
  // Shared: Open MPI's plug-ins look for libmpi's symbols among the global ones.
  link_.reset(reinterpret_cast<Make>(symbol_of_module(HEADROOM_MPI_MODULE, "headroom_mpi_link", true))());
  rank_ = link_->rank();
  size_ = link_->size();
#else
  throw std::runtime_error("this build has no MPI; install libopenmpi-dev and build again, or run one process");
#endif
}
Ranks::~Ranks() = default;

void Ranks::send(int to, const std::string& text) const {
  link_->send(to, text);
}

std::optional<Ranks::Message> Ranks::receive() const {
  return size_ == 1 ? std::nullopt : link_->receive();
}

bool Ranks::any(bool here) const {
  return size_ == 1 ? here : link_->any(here);
}

void Ranks::abort(int code) const {
  if (size_ > 1) link_->abort(code);
}

}  // namespace headroom
