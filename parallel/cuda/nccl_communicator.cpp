#include "parallel/cuda/nccl_communicator.h"

#include <ATen/ops/empty.h>
#include <nccl.h>

#include <cstring>
#include <set>
#include <string>
#include <thread>

#include "parallel/cuda/cuda_check.h"
#include "parallel/deadline.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

void check(ncclResult_t result, const char* call) {
  // (In progress: a communicator that does not block answers so, and `wait` looks after it.)
  RUBATO_CHECK(
      result == ncclSuccess || result == ncclInProgress, call, ": ", ncclGetErrorString(result));
}

class NcclCommunicator final : public DeviceCommunicator {
 public:
  NcclCommunicator(Communicator& host, std::chrono::milliseconds deadline)
      : rank_(host.rank()), size_(host.size()), deadline_(deadline) {
    ncclUniqueId id{};
    if (rank_ == 0) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    at::Tensor bytes = at::empty({static_cast<std::int64_t>(sizeof id)}, at::kByte);
    std::memcpy(bytes.data_ptr(), &id, sizeof id);
    host.broadcast(bytes, 0);
    std::memcpy(&id, bytes.data_ptr(), sizeof id);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;  // so that a rank that does not come is noticed
    check(ncclCommInitRankConfig(&communicator_, size_, id, rank_, &config), "ncclCommInitRank");
    await("the start of NCCL");
  }

  ~NcclCommunicator() override {
    // Finalize waits for what is under way; a group that ends early has been ended by `wait`.
    static_cast<void>(ncclCommFinalize(communicator_));
    await("the end of NCCL");
    static_cast<void>(ncclCommDestroy(communicator_));
  }

  int size() const override { return size_; }
  bool can_be_captured() const override { return true; }

  void all_reduce_sum(float* values, std::int64_t count, Stream stream) override {
    check(ncclAllReduce(values, values, count, ncclFloat, ncclSum, communicator_, stream),
          "ncclAllReduce");
    await("an all-reduce to be enqueued");
  }

  void all_gather(const void* mine, void* all, std::int64_t bytes, Stream stream) override {
    check(ncclAllGather(mine, all, bytes, ncclUint8, communicator_, stream), "ncclAllGather");
    await("an all-gather to be enqueued");
  }

  void wait(Stream stream) override {
    const auto begin = std::chrono::steady_clock::now();
    for (int polls = 0;; ++polls) {
      const cudaError_t status = cudaStreamQuery(stream);
      if (status == cudaSuccess) return;
      RUBATO_CHECK(status == cudaErrorNotReady, "cudaStreamQuery: ", cudaGetErrorString(status));
      constexpr int kPollsBetweenLooks = 256;
      if (polls % kPollsBetweenLooks != kPollsBetweenLooks - 1) continue;
      static_cast<void>(state());
      if (std::chrono::steady_clock::now() - begin > deadline_)
        end_for_missed_deadline(rank_, "the GPU's collectives", deadline_);
    }
  }

 private:
  ncclResult_t state() const {
    ncclResult_t result = ncclSuccess;
    check(ncclCommGetAsyncError(communicator_, &result), "ncclCommGetAsyncError");
    check(result, "a collective of the GPUs");
    return result;
  }

  void await(const char* what) const {
    const auto begin = std::chrono::steady_clock::now();
    while (state() == ncclInProgress) {
      if (std::chrono::steady_clock::now() - begin > deadline_)
        end_for_missed_deadline(rank_, what, deadline_);
      std::this_thread::yield();
    }
  }

  const int rank_, size_;
  const std::chrono::milliseconds deadline_;
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
                                                             std::chrono::milliseconds deadline) {
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
  return std::make_unique<NcclCommunicator>(host, deadline);
}

}  // namespace rubato
