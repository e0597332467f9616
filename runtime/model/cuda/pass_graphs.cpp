#include "runtime/model/cuda/pass_graphs.h"

#include <algorithm>

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda {

/// What was enqueued on a stream, to be launched as one; owns it.
class PassGraphs::Graph {
 public:
  Graph(Stream stream, const std::function<void()>& enqueue) {
    // Of this thread alone: NCCL's threads and a watchdog may ask the GPU meanwhile.
    RUBATO_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    enqueue();
    cudaGraph_t graph = nullptr;
    RUBATO_CUDA(cudaStreamEndCapture(stream, &graph));
    RUBATO_CUDA(cudaGraphInstantiate(&executable_, graph, 0));
    RUBATO_CUDA(cudaGraphDestroy(graph));
  }
  ~Graph() { static_cast<void>(cudaGraphExecDestroy(executable_)); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(Stream stream) const { RUBATO_CUDA(cudaGraphLaunch(executable_, stream)); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

PassGraphs::PassGraphs(Stream stream, std::size_t most) : stream_(stream), most_(most) {}

PassGraphs::~PassGraphs() = default;

void PassGraphs::run(const PassBucket& bucket,
                     std::uint64_t moves,
                     const std::function<void()>& enqueue) {
  if (moves != moves_) entries_.clear();
  moves_ = moves;
  const auto found = entries_.find(bucket);
  if (found == entries_.end()) {
    if (entries_.size() == most_) forget_oldest();
    entries_[bucket].last_use = ++uses_;
    enqueue();
    return;
  }
  Entry& entry = found->second;
  entry.last_use = ++uses_;
  if (entry.graph == nullptr) {
    entry.graph = std::make_unique<Graph>(stream_, enqueue);
    ++num_recorded_;
  }
  entry.graph->launch(stream_);
  ++num_replayed_;
}

void PassGraphs::forget_oldest() {
  // (A graph that is still running goes when it is done.)
  entries_.erase(std::ranges::min_element(
      entries_, {}, [](const auto& entry) { return entry.second.last_use; }));
}

}  // namespace rubato::cuda
