#include "runtime/model/cuda/pass_graphs.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>

#include "parallel/cuda/cuda_check.h"
#include "runtime/base/concat.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace rubato::cuda {

namespace {

/// What `enqueue` tells the stream, instead of doing it. Error: why that cannot be.
Result<cudaGraph_t> capture(Stream stream, const std::function<void()>& enqueue) {
  const auto error = [](std::string why) { return Error{Code::kUnavailable, std::move(why)}; };
  // Of this thread alone: NCCL's threads and a watchdog may ask the GPU meanwhile.
  cudaError_t status = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  if (status != cudaSuccess) return error(cudaGetErrorString(status));
  std::string failure;
  try {
    const Recording recording;
    enqueue();
  } catch (const RecordingFailed& failed) {
    failure = failed.what();
  }
  cudaGraph_t graph = nullptr;
  status = cudaStreamEndCapture(stream, &graph);
  if (status != cudaSuccess && failure.empty()) failure = cudaGetErrorString(status);
  if (failure.empty()) return graph;
  // Not every failed call spoils the capture, which then has what came before it.
  if (graph != nullptr) RUBATO_CUDA(cudaGraphDestroy(graph));
  return error(std::move(failure));
}

Result<cudaGraphExec_t> record(Stream stream, const std::function<void()>& enqueue) {
  const Result<cudaGraph_t> graph = capture(stream, enqueue);
  if (!graph) return graph.error();
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, *graph, 0);
  RUBATO_CUDA(cudaGraphDestroy(*graph));
  if (status != cudaSuccess) return Error{Code::kUnavailable, cudaGetErrorString(status)};
  return executable;
}

}  // namespace

/// What was enqueued on a stream, to be launched as one; owns it.
class PassGraphs::Graph {
 public:
  /// Null, with a warning, where it cannot be had; then nothing has been enqueued.
  static std::unique_ptr<Graph> of(Stream stream, const std::function<void()>& enqueue) {
    const Result<cudaGraphExec_t> executable = record(stream, enqueue);
    if (executable) return std::make_unique<Graph>(*executable);
    static_cast<void>(cudaGetLastError());  // or the next launch would be taken to have failed
    log_warning(concat("a pass cannot be recorded as a CUDA graph: ",
                       executable.error().message,
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

PassGraphs::PassGraphs(Stream stream, Communicator& host, std::size_t most)
    : stream_(stream), host_(host), most_(most) {}

PassGraphs::~PassGraphs() = default;

void PassGraphs::run(const PassBucket& bucket, const std::function<void()>& enqueue) {
  if (refused_) return enqueue();
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
    entry.graph = Graph::of(stream_, enqueue);
    if (!all_have(entry.graph != nullptr)) {
      refused_ = true;
      entries_.clear();
      return enqueue();
    }
    ++num_recorded_;
  }
  entry.graph->launch(stream_);
  ++num_replayed_;
}

/// One rank's recorded sums need not meet another's that are enqueued.
bool PassGraphs::all_have(bool mine) {
  const at::Tensor answer = at::full({1}, mine, at::kByte);
  at::Tensor answers = at::empty({host_.size(), 1}, at::kByte);
  host_.all_gather(answer, answers);
  const auto* first = answers.data_ptr<std::uint8_t>();
  return std::all_of(first, first + host_.size(), [](std::uint8_t one) { return one != 0; });
}

void PassGraphs::forget_oldest() {
  // (A graph that is still running goes when it is done.)
  entries_.erase(std::ranges::min_element(
      entries_, {}, [](const auto& entry) { return entry.second.last_use; }));
}

}  // namespace rubato::cuda
