#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>
#include <vector>

#include "parallel/deadline.h"
#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace detail {

void check_mpi(int code, const char* call, const char* file, int line) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  log_error(concat(call, " failed at ", file, ":", line, ": ", text));
  std::_Exit(71);
}

void wait_for(MPI_Request& request, const char* operation, std::chrono::seconds deadline) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::microseconds kSpin{50}, kYield{2000}, kLongestNap{200};
  const auto start = Clock::now();
  auto nap = std::chrono::microseconds(10);
  for (int done = 0;;) {
    RUBATO_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done) return;
    const auto waited = Clock::now() - start;
    if (deadline.count() > 0 && waited > deadline) {
      int rank = 0;
      MPI_Comm_rank(MPI_COMM_WORLD, &rank);
      end_for_missed_deadline(rank, operation, deadline);
    }
    if (waited < kSpin) continue;
    if (waited < kYield) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(nap);
      nap = std::min<std::chrono::microseconds>(nap * 2, kLongestNap);
    }
  }
}

OwnedComm::OwnedComm() {
  RUBATO_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm_));
  RUBATO_MPI(MPI_Comm_rank(comm_, &rank_));
  RUBATO_MPI(MPI_Comm_size(comm_, &size_));
}

OwnedComm::~OwnedComm() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (!finalized) MPI_Comm_free(&comm_);
}

}  // namespace detail

MpiSession::MpiSession(int* argc, char*** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int provided = 0;
  RUBATO_MPI(MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided));
  RUBATO_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
}

MpiSession::~MpiSession() {
  MPI_Finalize();
}

Result<Mesh> make_mesh(int tp) {
  Mesh mesh;
  RUBATO_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &mesh.world_rank));
  RUBATO_MPI(MPI_Comm_size(MPI_COMM_WORLD, &mesh.world_size));
  mesh.tp_size = tp == 0 ? mesh.world_size : tp;
  mesh.tp_rank = mesh.world_rank;
  if (mesh.tp_size != mesh.world_size) {
    return Error{Code::kInvalidArgument,
                 concat("engine.tp is ",
                        tp,
                        " but ",
                        mesh.world_size,
                        " ranks run; start it with mpirun -np ",
                        tp),
                 "engine.tp"};
  }
  MPI_Comm local = MPI_COMM_NULL;
  RUBATO_MPI(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local));
  RUBATO_MPI(MPI_Comm_size(local, &mesh.local_size));
  RUBATO_MPI(MPI_Comm_free(&local));
  return mesh;
}

namespace {

/// Every rank's text, cut to a bounded length.
std::vector<std::string> gather_texts(const std::string& mine) {
  constexpr std::size_t kMostBytes = 2048;
  int size = 1;
  RUBATO_MPI(MPI_Comm_size(MPI_COMM_WORLD, &size));
  std::vector<char> one(kMostBytes, 0), all(kMostBytes * size);
  mine.copy(one.data(), kMostBytes - 1);
  RUBATO_MPI(MPI_Allgather(
      one.data(), kMostBytes, MPI_CHAR, all.data(), kMostBytes, MPI_CHAR, MPI_COMM_WORLD));
  std::vector<std::string> texts;
  for (int r = 0; r < size; ++r) texts.emplace_back(all.data() + r * kMostBytes);
  return texts;
}

}  // namespace

Status agree(const std::string& what, const std::string& value, const std::string& failure) {
  const std::vector<std::string> failures = gather_texts(failure), values = gather_texts(value);
  for (std::size_t r = 0; r < failures.size(); ++r) {
    if (!failures[r].empty())
      return Error{Code::kUnavailable, concat("rank ", r, ": ", failures[r])};
  }
  for (std::size_t r = 1; r < values.size(); ++r) {
    if (values[r] == values[0]) continue;
    return Error{Code::kInternal,
                 concat("ranks disagree on ",
                        what,
                        ": rank 0 has '",
                        values[0],
                        "', rank ",
                        r,
                        " has '",
                        values[r],
                        "'")};
  }
  return {};
}

}  // namespace rubato
