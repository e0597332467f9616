#pragma once

#include <memory>

#include "parallel/cuda/device_communicator.h"
#include "parallel/deadline.h"

namespace rubato {

/// The collectives of a tensor-parallel group whose ranks' current GPUs are `device` each. NCCL
/// where every rank has one of its own; through the host, with a warning, where several ranks share
/// one; nothing to do for one rank. Collective: to be called by every rank of `host`'s group, when
/// all have agreed that they are loaded. A rank that does not come ends the process: within a
/// minute at the start, later within `deadlines`, in which a step's work must be done. `host`
/// outlives it.
std::unique_ptr<DeviceCommunicator> make_device_communicator(Communicator& host,
                                                             int device,
                                                             const StepDeadlines& deadlines);

}  // namespace rubato
