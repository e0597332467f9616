#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <vector>

#include "parallel/deadline.h"
#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"
#include "runtime/base/check.h"
#include "runtime/base/concat.h"
#include "runtime/base/exit_status.h"

namespace rubato {
namespace {

/// If mpirun is killed by SIGKILL, the kernel ends its ranks with it. A process that mpirun did not
/// start has another parent, a shell for example, and must outlive it.
void end_with_mpirun() {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/// Ranks of one machine exchange tens of kilobytes many times a step. OpenMPI's shared-memory
/// transport handshakes before it sends more than 4 KiB, which costs another round trip; up to this
/// size it now sends at once, three times as fast. A value set by the user is kept.
void prefer_eager_messages() {
  setenv("OMPI_MCA_btl_vader_eager_limit", "65536", /*overwrite=*/0);
}

/// How long the ranks wait for each other at the end.
constexpr std::chrono::seconds kGoodbye{10};

/// Signal handler: async-signal-safe calls only.
void end_without_the_others(int) {
  constexpr char kText[] = "another rank does not leave; ending without it\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kText, sizeof kText - 1);
  _exit(kMissedDeadline);
}

}  // namespace

MpiSession::MpiSession(int* argc, char*** argv) {
  end_with_mpirun();
  prefer_eager_messages();
  int provided = MPI_THREAD_SINGLE;
  RUBATO_MPI(MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided));
  RUBATO_CHECK(provided >= MPI_THREAD_SERIALIZED, "this MPI library allows only one thread");
  RUBATO_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  RUBATO_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
}

MpiSession::~MpiSession() {
  // The others do not know about an exception here: mpirun ends them when this process has ended.
  if (std::uncaught_exceptions() > 0) return;
  // Some have less to finish than others; rank 0 arrives last and does not wait long for any.
  MPI_Request request = MPI_REQUEST_NULL;
  RUBATO_MPI(MPI_Ibarrier(MPI_COMM_WORLD, &request));
  detail::wait_for(request, {"leaving, part", 1}, rank_ == 0 ? kGoodbye : std::chrono::seconds(0));
  std::signal(SIGALRM, end_without_the_others);
  alarm(kGoodbye.count());
  MPI_Finalize();
  alarm(0);
}

Result<Mesh> make_mesh(int tp, int num_replicas) {
  Mesh mesh;
  RUBATO_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &mesh.world_rank));
  RUBATO_MPI(MPI_Comm_size(MPI_COMM_WORLD, &mesh.world_size));
  mesh.num_replicas = num_replicas;
  mesh.tp_size = tp == 0 ? std::max(1, mesh.world_size / num_replicas) : tp;
  mesh.replica = mesh.world_rank / mesh.tp_size;
  mesh.tp_rank = mesh.world_rank % mesh.tp_size;
  if (const int wanted = mesh.tp_size * num_replicas; wanted != mesh.world_size) {
    return Error{Code::kInvalidArgument,
                 concat("engine.tp is ",
                        tp,
                        num_replicas > 1 ? concat(" and engine.replicas ", num_replicas) : "",
                        " but ",
                        mesh.world_size,
                        " ranks run; start it with mpirun -np ",
                        wanted),
                 "engine.tp"};
  }
  MPI_Comm local = MPI_COMM_NULL;
  RUBATO_MPI(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local));
  RUBATO_MPI(MPI_Comm_rank(local, &mesh.local_rank));
  RUBATO_MPI(MPI_Comm_size(local, &mesh.local_size));
  RUBATO_MPI(MPI_Comm_free(&local));
  return mesh;
}

std::vector<std::string> gather_texts(const std::string& mine,
                                      const std::string& what,
                                      std::chrono::milliseconds deadline) {
  const std::string operation = concat(what, ", part");
  int num_ranks = 1;
  RUBATO_MPI(MPI_Comm_size(MPI_COMM_WORLD, &num_ranks));
  const auto size = static_cast<int>(mine.size());
  std::vector<int> sizes(num_ranks);
  MPI_Request request = MPI_REQUEST_NULL;
  RUBATO_MPI(MPI_Iallgather(&size, 1, MPI_INT, sizes.data(), 1, MPI_INT, MPI_COMM_WORLD, &request));
  detail::wait_for(request, {operation.c_str(), 1}, deadline);
  std::vector<int> begins(num_ranks);
  std::exclusive_scan(sizes.begin(), sizes.end(), begins.begin(), 0);
  std::string all(begins.back() + sizes.back(), '\0');
  RUBATO_MPI(MPI_Iallgatherv(mine.data(),
                             size,
                             MPI_BYTE,
                             all.data(),
                             sizes.data(),
                             begins.data(),
                             MPI_BYTE,
                             MPI_COMM_WORLD,
                             &request));
  detail::wait_for(request, {operation.c_str(), 2}, deadline);
  std::vector<std::string> texts;
  for (int rank = 0; rank < num_ranks; ++rank)
    texts.push_back(all.substr(begins[rank], sizes[rank]));
  return texts;
}

Status agree(const std::string& what, const Statement& mine, std::chrono::milliseconds deadline) {
  std::vector<Statement> by_rank;
  for (const std::string& text :
       gather_texts(encode(mine), concat("agreement on ", what), deadline)) {
    Result<Statement> statement = decode_statement(text);
    // A rank whose statement cannot be decoded has failed, as far as the others know.
    by_rank.push_back(statement ? *std::move(statement) : Statement{statement.error().message, {}});
  }
  return compare(what, by_rank);
}

}  // namespace rubato
