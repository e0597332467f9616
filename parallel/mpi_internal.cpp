#include "parallel/mpi_internal.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "parallel/deadline.h"
#include "runtime/base/concat.h"
#include "runtime/base/exit_status.h"
#include "runtime/base/log.h"

namespace rubato::detail {
namespace {

/// This rank's number, or -1 while MPI does not run.
int world_rank() {
  int initialized = 0, finalized = 0, rank = -1;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  if (initialized != 0 && finalized == 0) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

}  // namespace

void check_mpi(int code, const char* call, const char* file, int line) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  log_error(concat("rank ", world_rank(), ": ", call, " failed at ", file, ":", line, ": ", text));
  std::_Exit(kMpiFailed);
}

void pause(std::chrono::steady_clock::duration waited) {
  using std::chrono::microseconds;
  constexpr microseconds kSpin{50}, kYield{2000}, kLongestNap{1000};
  if (waited < kSpin) return;
  if (waited < kYield) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(waited / 32, kLongestNap));
  }
}

void wait_for(MPI_Request& request, Operation operation, std::chrono::milliseconds deadline) {
  const auto start = std::chrono::steady_clock::now();
  for (int done = 0;;) {
    RUBATO_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done != 0) return;
    const auto waited = std::chrono::steady_clock::now() - start;
    if (deadline.count() > 0 && waited > deadline)
      end_for_missed_deadline(
          world_rank(), concat(operation.name, " ", operation.number), deadline);
    pause(waited);
  }
}

std::mutex& mpi_mutex() {
  static std::mutex mutex;
  return mutex;
}

OwnedComm::OwnedComm(int group, int key) {
  RUBATO_MPI(MPI_Comm_split(MPI_COMM_WORLD, group, key, &comm_));
  RUBATO_MPI(MPI_Comm_rank(comm_, &rank_));
  RUBATO_MPI(MPI_Comm_size(comm_, &size_));
}

OwnedComm::~OwnedComm() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized == 0) RUBATO_MPI(MPI_Comm_free(&comm_));
}

}  // namespace rubato::detail
