#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <type_traits>
#include <vector>

#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"
#include "runtime/base/check.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

/// mpirun killed by SIGKILL would leave its ranks behind: let the kernel end them with it. A rank
/// that mpirun did not start has some shell as its parent and must outlive it.
void end_with_mpirun() {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/// Ranks of one machine exchange tens of kilobytes many times a step. OpenMPI's shared-memory
/// transport asks before it sends more than 4 KiB, which costs a second meeting of the two ranks;
/// up to this size it now just sends, three times as fast. What the user has set, stays.
void prefer_eager_messages() {
  setenv("OMPI_MCA_btl_vader_eager_limit", "65536", /*overwrite=*/0);
}

constexpr std::size_t kMostTextBytes = 2000;

/// A rank's word in `agree`: its text, cut, and what tells apart the texts that were cut.
struct Statement {
  std::uint64_t size = 0;
  std::uint64_t digest = 0;
  std::array<char, kMostTextBytes> text{};

  std::string shown() const { return {text.data(), std::min<std::size_t>(size, text.size())}; }
};
static_assert(std::is_trivially_copyable_v<Statement>);

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

/// Every rank's statement. Waits without a deadline: a peer may still be loading; one that died
/// ends the job by itself.
std::vector<Statement> gather_statements(std::string_view text) {
  int size = 1;
  RUBATO_MPI(MPI_Comm_size(MPI_COMM_WORLD, &size));
  Statement mine{text.size(), fnv1a(text), {}};
  text.copy(mine.text.data(), mine.text.size());
  std::vector<Statement> all(size);
  constexpr int kBytes = sizeof(Statement);
  MPI_Request request = MPI_REQUEST_NULL;
  RUBATO_MPI(MPI_Iallgather(
      &mine, kBytes, MPI_BYTE, all.data(), kBytes, MPI_BYTE, MPI_COMM_WORLD, &request));
  detail::wait_for(request, {"agreement", 0}, std::chrono::milliseconds(0));
  return all;
}

}  // namespace

MpiSession::MpiSession(int* argc, char*** argv) {
  end_with_mpirun();
  prefer_eager_messages();
  int provided = MPI_THREAD_SINGLE;
  RUBATO_MPI(MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided));
  RUBATO_CHECK(provided >= MPI_THREAD_SERIALIZED, "this MPI library allows only one thread");
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

Status agree(const std::string& what, const std::string& value, const std::string& failure) {
  const std::vector<Statement> failures = gather_statements(failure);
  const std::vector<Statement> values = gather_statements(value);
  for (std::size_t r = 0; r < failures.size(); ++r) {
    if (failures[r].size > 0)
      return Error{Code::kUnavailable, concat("rank ", r, ": ", failures[r].shown())};
  }
  for (std::size_t r = 1; r < values.size(); ++r) {
    if (values[r].size == values[0].size && values[r].digest == values[0].digest) continue;
    return Error{Code::kInternal,
                 concat("ranks disagree on ",
                        what,
                        ": rank 0 has '",
                        values[0].shown(),
                        "', rank ",
                        r,
                        " has '",
                        values[r].shown(),
                        "'")};
  }
  return {};
}

}  // namespace rubato
