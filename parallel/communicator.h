#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace rubato {

/// Collectives on tensors within one tensor-parallel group, asynchronous and ordered with the work
/// of one stream: a call enqueues, and later work in the stream sees its result. (On CPUs a call
/// has completed when it returns.) Tensors are contiguous. All ranks make the same calls with the
/// same shapes. Engine thread only.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// t := the sum over ranks, float32, the same bits on every rank: a balanced binary tree in rank
  /// order, ((r0 + r1) + (r2 + r3)), independent of size and timing, so that a sum split over ranks
  /// can continue a tree that each rank began.
  virtual void all_reduce_sum(at::Tensor& t) = 0;

  /// all[r] := rank r's `mine`; all: [size, ...mine.shape], any type.
  virtual void all_gather(const at::Tensor& mine, at::Tensor& all) = 0;

  /// t := rank `root`'s t, any type.
  virtual void broadcast(at::Tensor& t, int root) = 0;
};

/// A group of one: nothing to exchange.
class SingleCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void all_reduce_sum(at::Tensor&) override {}
  void all_gather(const at::Tensor& mine, at::Tensor& all) override;
  void broadcast(at::Tensor&, int) override {}
};

namespace detail {

/// out[i] := the tree sum over parts of parts[p * stride + i], for i < count.
void tree_sum(
    const float* parts, int num_parts, std::int64_t stride, float* out, std::int64_t count);

}  // namespace detail
}  // namespace rubato
