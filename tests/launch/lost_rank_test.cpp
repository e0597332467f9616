// How soon a job ends that has lost a rank, by arithmetic; tests/faults/lost_rank_test.py loses
// some.
#include <gtest/gtest.h>

#include "launch/config.h"
#include "parallel/deadline.h"
#include "runtime/replicas/links.h"

namespace rubato {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What is left of the promised five seconds for mpirun to end the other ranks, which
/// launch/environment.sh tells it to do at once.
constexpr milliseconds kMpirun{1000};
constexpr milliseconds kPromised{5000};

// While nothing is computed; under load, what the last step took counts twice besides.
TEST(LostRank, OfAReplicaIsGivenUpWithinFiveSecondsByDefault) {
  const milliseconds watchdog = seconds(Config{}.engine.watchdog_s);
  EXPECT_LT(kHeartbeat + watchdog + kRollCall + kMpirun, kPromised);
}

TEST(LostRank, ThatLeadsAnotherReplicaIsGivenUpWithinFiveSecondsByDefault) {
  const milliseconds watchdog = seconds(Config{}.engine.watchdog_s);
  EXPECT_LT(kLinkHeartbeat + watchdog + kMpirun, kPromised);
}

// However impatient the configuration: its least is a second.
TEST(LostRank, IsNoneThatGivesEverySignOfLifeInTime) {
  EXPECT_LE(2 * kLinkHeartbeat, milliseconds(seconds(1)));
}

}  // namespace
}  // namespace rubato
