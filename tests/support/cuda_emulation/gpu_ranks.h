#pragma once

#include <functional>

#include "parallel/local_group.h"
#include "tests/support/cuda_emulation/device.h"
#include "tests/support/rank_threads.h"

namespace rubato::emulation {

/// Whose GPU a rank sees.
enum class Gpus : std::uint8_t { kOneEach, kOneForAll };

/// Runs body on a thread for each rank of a group, with the rank's host communicator.
inline void run_gpu_ranks(int size, Gpus gpus, const std::function<void(Communicator&)>& body) {
  LocalGroup group(size);
  test::run_ranks(size, [&](int rank) {
    see_devices({gpus == Gpus::kOneEach ? rank : 0});
    body(*group.communicator(rank));
  });
}

}  // namespace rubato::emulation
