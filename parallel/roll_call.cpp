#include "parallel/roll_call.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <thread>

#include "parallel/deadline.h"
#include "runtime/base/concat.h"

namespace rubato::detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTag = 0;

/// What a rank waits in, as truncated text.
using Message = std::array<char, 64>;
constexpr int kMessageBytes = sizeof(Message);

std::vector<int> world_ranks(MPI_Comm comm, int size) {
  std::vector<int> ranks(size), in_world(size);
  std::iota(ranks.begin(), ranks.end(), 0);
  MPI_Group group = MPI_GROUP_NULL, world = MPI_GROUP_NULL;
  RUBATO_MPI(MPI_Comm_group(comm, &group));
  RUBATO_MPI(MPI_Comm_group(MPI_COMM_WORLD, &world));
  RUBATO_MPI(MPI_Group_translate_ranks(group, size, ranks.data(), world, in_world.data()));
  RUBATO_MPI(MPI_Group_free(&group));
  RUBATO_MPI(MPI_Group_free(&world));
  return in_world;
}

}  // namespace

bool RollCall::called() {
  int found = 0;
  RUBATO_MPI(MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_.get(), &found, MPI_STATUS_IGNORE));
  return found != 0;
}

std::vector<RollCall::Answer> RollCall::take(std::string_view operation) {
  const int size = comm_.size();
  Message mine{};
  operation.copy(mine.data(), mine.size() - 1);
  std::vector<Answer> answers(size);
  const std::vector<int> in_world = world_ranks(comm_.get(), size);
  for (int rank = 0; rank < size; ++rank) answers[rank].world_rank = in_world[rank];
  answers[comm_.rank()].waits_in = mine.data();
  std::vector<MPI_Request> sent(size, MPI_REQUEST_NULL);  // never completed: the process ends
  for (int rank = 0; rank < size; ++rank) {
    if (rank == comm_.rank()) continue;
    RUBATO_MPI(
        MPI_Isend(mine.data(), kMessageBytes, MPI_CHAR, rank, kTag, comm_.get(), &sent[rank]));
  }
  const auto missing = [&] { return std::ranges::count(answers, "", &Answer::waits_in); };
  for (const auto end = Clock::now() + kRollCall; missing() > 0 && Clock::now() < end;) {
    if (!called()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    Message text{};
    MPI_Status status;
    RUBATO_MPI(
        MPI_Recv(text.data(), kMessageBytes, MPI_CHAR, MPI_ANY_SOURCE, kTag, comm_.get(), &status));
    answers[status.MPI_SOURCE].waits_in = text.data();
  }
  return answers;
}

std::string describe(const std::vector<RollCall::Answer>& answers) {
  std::string missing, present;
  int num_missing = 0;
  for (const RollCall::Answer& answer : answers) {
    if (answer.waits_in.empty()) {
      missing += concat(num_missing++ == 0 ? "" : ", ", answer.world_rank);
    } else {
      present +=
          concat(present.empty() ? "" : ", ", "rank ", answer.world_rank, " in ", answer.waits_in);
    }
  }
  if (num_missing == 0) return concat("the ranks wait for each other: ", present);
  return num_missing == 1 ? concat("rank ", missing, " does not answer")
                          : concat("ranks ", missing, " do not answer");
}

}  // namespace rubato::detail
