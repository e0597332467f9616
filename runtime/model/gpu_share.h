#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace rubato {

/// Which of the `num_gpus` that this process sees a rank takes: the ranks of a machine take them in
/// turns. local_rank: among the ranks of this machine.
int gpu_of(int local_rank, int num_gpus);

/// A rank's part of what is free on its GPU: divided by the ranks that have the same one, wherever
/// a process may count it. uuid: its GPU's; uuids: those of all ranks, this one among them.
std::int64_t share_of(std::int64_t free_bytes,
                      const std::string& uuid,
                      std::span<const std::string> uuids);

}  // namespace rubato
