#pragma once

#include <functional>
#include <map>
#include <memory>

#include "runtime/model/cuda/pass_bucket.h"

namespace rubato::cuda {

/// CUDA graphs of reuse passes, by bucket: the kernels of a pass are enqueued once, recorded, and
/// from then on launched as one. The first pass of a bucket runs as it is enqueued, which loads
/// what kernels and libraries load on first use; the second is recorded. The least recently used go
/// beyond `most`. Every rank sees the same passes, so all record and replay in the same steps. Once
/// a pass could not be recorded, all run as they are enqueued. Engine thread only.
class PassGraphs {
 public:
  explicit PassGraphs(Stream stream, std::size_t most = 32);
  ~PassGraphs();

  /// Has the stream do what `enqueue` enqueues: kernels that take nothing from the host but what
  /// the bucket fixes, in memory that stays where it is. `moves`: a number that changes when some
  /// of that memory has moved, whereupon all graphs are forgotten.
  void run(const PassBucket& bucket, std::uint64_t moves, const std::function<void()>& enqueue);

  std::int64_t num_recorded() const { return num_recorded_; }
  std::int64_t num_replayed() const { return num_replayed_; }

 private:
  class Graph;
  struct Entry {
    std::unique_ptr<Graph> graph;  // null: not recorded yet
    std::uint64_t last_use = 0;
  };
  void forget_oldest();

  const Stream stream_;
  const std::size_t most_;
  std::map<PassBucket, Entry> entries_;
  std::uint64_t moves_ = 0, uses_ = 0;
  bool refused_ = false;  // one could not be recorded
  std::int64_t num_recorded_ = 0, num_replayed_ = 0;
};

}  // namespace rubato::cuda
