#include "parallel/cuda/nccl_communicator.h"

#include <ATen/ops/empty.h>
#include <nccl.h>

#include <cstring>
#include <set>
#include <string>

#include "parallel/cuda/cuda_check.h"
#include "parallel/watchdog.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

/// How long the ranks may take to find each other and to connect, which across several machines
/// takes many seconds.
constexpr std::chrono::seconds kStart{60};

void check(ncclResult_t result, const char* call) {
  if (result == ncclSuccess) return;
  detail::gpu_call_failed(call, __FILE__, __LINE__, ncclGetErrorString(result));
}

/// NCCL's calls block (a non-blocking communicator takes a thread for each collective), so a
/// watchdog notices a missing rank.
class NcclCommunicator final : public DeviceCommunicator {
 public:
  NcclCommunicator(Communicator& host, const StepDeadlines& deadlines)
      : rank_(host.rank()),
        size_(host.size()),
        deadlines_(deadlines),
        deadline_(deadlines.first),
        watchdog_(rank_) {
    ncclUniqueId id{};
    if (rank_ == 0) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    at::Tensor bytes = at::empty({static_cast<std::int64_t>(sizeof id)}, at::kByte);
    std::memcpy(bytes.data_ptr(), &id, sizeof id);
    host.broadcast(bytes, 0);
    std::memcpy(&id, bytes.data_ptr(), sizeof id);
    const Watchdog::Watch watch(watchdog_, "the start of NCCL", kStart);
    check(ncclCommInitRank(&communicator_, size_, id, rank_), "ncclCommInitRank");
  }

  ~NcclCommunicator() override {
    // Finalize waits for pending work; a group that ends early has been ended by `wait`.
    const Watchdog::Watch watch(watchdog_, "the end of NCCL", deadline_);
    static_cast<void>(ncclCommFinalize(communicator_));
    static_cast<void>(ncclCommDestroy(communicator_));
  }

  int size() const override { return size_; }
  bool can_be_captured() const override { return true; }

  void all_reduce_sum(float* values, std::int64_t count, Stream stream) override {
    const Watchdog::Watch watch(watchdog_, "an all-reduce to be enqueued", kStart);
    check(ncclAllReduce(values, values, count, ncclFloat, ncclSum, communicator_, stream),
          "ncclAllReduce");
  }

  void all_gather(const void* mine, void* all, std::int64_t bytes, Stream stream) override {
    const Watchdog::Watch watch(watchdog_, "an all-gather to be enqueued", kStart);
    check(ncclAllGather(mine, all, bytes, ncclUint8, communicator_, stream), "ncclAllGather");
  }

  void wait(Stream stream) override {
    const Watchdog::Watch watch(watchdog_, "the GPU's collectives", deadline_);
    for (int polls = 0;; ++polls) {
      const cudaError_t status = cudaStreamQuery(stream);
      if (status == cudaSuccess) return;
      static_cast<void>(cudaGetLastError());  // or the next launch would be taken to have failed
      RUBATO_CHECK(status == cudaErrorNotReady, "cudaStreamQuery: ", cudaGetErrorString(status));
      constexpr int kPollsBetweenLooks = 256;
      if (polls % kPollsBetweenLooks != kPollsBetweenLooks - 1) continue;
      ncclResult_t failure = ncclSuccess;
      check(ncclCommGetAsyncError(communicator_, &failure), "ncclCommGetAsyncError");
      check(failure, "a collective of the GPUs");
    }
  }

  void step_done() override { deadline_ = deadlines_.later; }

 private:
  const int rank_, size_;
  const StepDeadlines deadlines_;
  std::chrono::milliseconds deadline_;  // for the GPU to do what a step enqueued
  Watchdog watchdog_;
  ncclComm_t communicator_ = nullptr;
};

/// Whether two ranks of the group have the same GPU.
bool share_a_device(Communicator& host, int device) {
  cudaDeviceProp properties{};
  RUBATO_CUDA(cudaGetDeviceProperties(&properties, device));
  constexpr std::int64_t kSize = sizeof properties.uuid;
  const at::Tensor mine = at::empty({kSize}, at::kByte);
  at::Tensor all = at::empty({host.size(), kSize}, at::kByte);
  std::memcpy(mine.data_ptr(), &properties.uuid, kSize);
  host.all_gather(mine, all);
  std::set<std::string> different;
  for (int rank = 0; rank < host.size(); ++rank)
    different.emplace(static_cast<const char*>(all.data_ptr()) + rank * kSize, kSize);
  return std::ssize(different) < host.size();
}

}  // namespace

std::unique_ptr<DeviceCommunicator> make_device_communicator(Communicator& host,
                                                             int device,
                                                             const StepDeadlines& deadlines) {
  if (host.size() == 1) return std::make_unique<SingleDeviceCommunicator>();
  if (share_a_device(host, device)) {
    if (host.rank() == 0) {
      log_warning(concat("several of the ",
                         host.size(),
                         " ranks share a GPU: their sums go through the "
                         "host, which is slow; give each rank a GPU of its own"));
    }
    return std::make_unique<StagedCommunicator>(host);
  }
  return std::make_unique<NcclCommunicator>(host, deadlines);
}

}  // namespace rubato
