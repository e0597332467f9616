#pragma once

#include <cstdint>
#include <functional>
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

/// The largest number of cache tokens, in steps of kTokenStep up to about `most`, for which
/// `needed_bytes`, which grows with it, is at most memory_bytes. Where none fits, the least there
/// is: loading then says what is missing.
std::int64_t tokens_that_fit(std::int64_t memory_bytes,
                             std::int64_t most,
                             const std::function<std::int64_t(std::int64_t tokens)>& needed_bytes);
inline constexpr std::int64_t kTokenStep = 256;

}  // namespace rubato
