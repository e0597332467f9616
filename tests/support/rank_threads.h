#pragma once

#include <functional>
#include <thread>
#include <vector>

namespace rubato::test {

/// Runs body(rank) on a thread for each rank and waits for all of them.
inline void run_ranks(int size, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) threads.emplace_back(body, rank);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace rubato::test
