#pragma once

#include <cstdint>
#include <memory>

#include "parallel/communicator.h"

struct CUstream_st;

namespace rubato {

/// Collectives on device memory within one tensor-parallel group, ordered with the work of the
/// stream they are given: a call enqueues. All ranks make the same calls with the same sizes.
/// Engine thread only.
class DeviceCommunicator {
 public:
  using Stream = CUstream_st*;
  virtual ~DeviceCommunicator() = default;

  virtual int size() const = 0;

  /// values := the sum over ranks, float32, the same bits on every rank.
  virtual void all_reduce_sum(float* values, std::int64_t count, Stream stream) = 0;

  /// all[r] := rank r's `bytes` bytes.
  virtual void all_gather(const void* mine, void* all, std::int64_t bytes, Stream stream) = 0;

  /// Whether the sums and gathers may be recorded in a CUDA graph.
  virtual bool can_be_captured() const = 0;

  /// Waits until the stream has done what was enqueued. The process ends, naming what it waited
  /// for, when an error shows or another rank does not come.
  virtual void wait(Stream stream) = 0;

  /// To be called after each step; before the first call ranks may be slow.
  virtual void step_done() {}
};

/// A group of one.
class SingleDeviceCommunicator final : public DeviceCommunicator {
 public:
  int size() const override { return 1; }
  bool can_be_captured() const override { return true; }
  void all_reduce_sum(float*, std::int64_t, Stream) override {}
  void all_gather(const void* mine, void* all, std::int64_t bytes, Stream stream) override;
  void wait(Stream stream) override;
};

/// Goes through host memory and the host's communicator, waiting for the GPU each time: for ranks
/// that share a GPU, which NCCL refuses. `host` outlives it.
class StagedCommunicator final : public DeviceCommunicator {
 public:
  explicit StagedCommunicator(Communicator& host);
  ~StagedCommunicator() override;
  int size() const override { return host_.size(); }
  bool can_be_captured() const override { return false; }
  void all_reduce_sum(float* values, std::int64_t count, Stream stream) override;
  void all_gather(const void* mine, void* all, std::int64_t bytes, Stream stream) override;
  void wait(Stream stream) override;

 private:
  std::byte* staged(std::int64_t bytes);

  Communicator& host_;
  std::byte* memory_ = nullptr;  // pinned
  std::int64_t size_ = 0;
};

}  // namespace rubato
