#include "runtime/model/cuda/pass_graphs.h"

#include <algorithm>

#include "parallel/cuda/cuda_check.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato::cuda {

/// What was enqueued on a stream, to be launched as one; owns it.
class PassGraphs::Graph {
 public:
  /// Null, with a warning, where it cannot be had; then nothing has been enqueued.
  static std::unique_ptr<Graph> record(Stream stream, const std::function<void()>& enqueue) {
    cudaGraphExec_t executable = nullptr;
    // Of this thread alone: NCCL's threads and a watchdog may ask the GPU meanwhile.
    cudaError_t status = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    if (status == cudaSuccess) {
      enqueue();
      cudaGraph_t graph = nullptr;
      status = cudaStreamEndCapture(stream, &graph);
      if (status == cudaSuccess) {
        status = cudaGraphInstantiate(&executable, graph, 0);
        RUBATO_CUDA(cudaGraphDestroy(graph));
      }
    }
    if (status == cudaSuccess) return std::make_unique<Graph>(executable);
    static_cast<void>(cudaGetLastError());  // or the next launch would be taken to have failed
    log_warning(concat("a pass cannot be recorded as a CUDA graph: ",
                       cudaGetErrorString(status),
                       "; from now on its kernels are launched one by one"));
    return nullptr;
  }

  explicit Graph(cudaGraphExec_t executable) : executable_(executable) {}
  ~Graph() { static_cast<void>(cudaGraphExecDestroy(executable_)); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(Stream stream) const { RUBATO_CUDA(cudaGraphLaunch(executable_, stream)); }

 private:
  const cudaGraphExec_t executable_;
};

PassGraphs::PassGraphs(Stream stream, std::size_t most) : stream_(stream), most_(most) {}

PassGraphs::~PassGraphs() = default;

void PassGraphs::run(const PassBucket& bucket,
                     std::uint64_t moves,
                     const std::function<void()>& enqueue) {
  if (refused_) return enqueue();
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
    entry.graph = Graph::record(stream_, enqueue);
    if (entry.graph == nullptr) {
      refused_ = true;
      entries_.clear();
      return enqueue();
    }
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
