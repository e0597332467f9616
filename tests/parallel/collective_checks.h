#pragma once

#include <cstdint>

#include "parallel/communicator.h"
#include "parallel/control_channel.h"

namespace rubato::test {

// What every back end of the communicator and of the control channel must do. Called by all ranks
// of a group together; failures are reported to GoogleTest.

/// Sums `count` floats a rank, of very different sizes so that the order of additions shows in the
/// last bits, and expects the balanced binary tree over ranks.
void expect_tree_sum(Communicator& communicator, std::int64_t count);

/// Cuts a sum of eight parts over the ranks (1, 2, 4 or 8 of them) and expects the bits that one
/// rank gets.
void expect_sum_independent_of_size(Communicator& communicator);

/// Gathers tensors of several types.
void expect_gather(Communicator& communicator);

/// Broadcasts from each rank in turn.
void expect_broadcast(Communicator& communicator);

/// Rank 0 sends frames of sizes around the first broadcast's, the others expect them in order.
void expect_frames_arrive(ControlChannel& channel, int rank);

/// Rank 0 sends step 8 where the others wait for step 7: an error there that says so.
void expect_wrong_step_is_refused(ControlChannel& channel, int rank);

}  // namespace rubato::test
