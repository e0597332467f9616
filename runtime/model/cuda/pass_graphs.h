#pragma once

#include <functional>
#include <map>
#include <memory>

#include "parallel/communicator.h"
#include "runtime/model/cuda/pass_bucket.h"

namespace rubato::cuda {

/// CUDA graphs of reuse passes, by bucket: the kernels of a pass are enqueued once, recorded, and
/// from then on launched as one. The first pass of a bucket runs as it is enqueued, which loads
/// what kernels and libraries load on first use; the second is recorded. The least recently used go
/// beyond `most`. Every rank sees the same passes, so all record and replay in the same steps. Once
/// a pass could not be recorded on one of them, which they tell each other, all passes run as they
/// are enqueued. Engine thread only.
class PassGraphs {
 public:
  /// `host`: of the ranks whose passes these are.
  PassGraphs(Stream stream, Communicator& host, std::size_t most = 32);
  ~PassGraphs();

  /// Has the stream do what `enqueue` enqueues: kernels that take nothing from the host but what
  /// the bucket fixes, in memory that stays where it is.
  void run(const PassBucket& bucket, const std::function<void()>& enqueue);

  std::int64_t num_recorded() const { return num_recorded_; }
  std::int64_t num_replayed() const { return num_replayed_; }

 private:
  class Graph;
  struct Entry {
    std::unique_ptr<Graph> graph;  // null: not recorded yet
    std::uint64_t last_use = 0;
  };
  bool all_have(bool mine);
  void forget_oldest();

  const Stream stream_;
  Communicator& host_;
  const std::size_t most_;
  std::map<PassBucket, Entry> entries_;
  std::uint64_t uses_ = 0;
  bool refused_ = false;  // one could not be recorded
  std::int64_t num_recorded_ = 0, num_replayed_ = 0;
};

}  // namespace rubato::cuda
