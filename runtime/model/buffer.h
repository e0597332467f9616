#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace rubato {

/// Float32 scratch that only grows, so that a step loop stops allocating once it has seen its
/// largest step.
class Buffer {
 public:
  /// At least `count` floats; the content is lost when the buffer grows.
  float* floats(std::int64_t count) {
    if (!storage_.defined() || storage_.numel() < count) {
      storage_.reset();  // before the new is made: there is never more than one
      storage_ = at::empty({count + std::min(count / 4, kMostSlack)}, at::kFloat);
    }
    return storage_.data_ptr<float>();
  }

  /// Grows to at least `count` floats; the content is kept.
  void grow_keeping(std::int64_t count) {
    if (storage_.defined() && storage_.numel() >= count) return;
    const at::Tensor old = storage_;
    floats(count);
    if (old.defined()) std::memcpy(storage_.data_ptr<float>(), old.data_ptr<float>(), old.nbytes());
  }

  /// The first `count` floats as a tensor, for a collective.
  at::Tensor tensor(std::int64_t count) { return floats(count), storage_.narrow(0, 0, count); }

 private:
  static constexpr std::int64_t kMostSlack = 1 << 20;  // 4 MiB

  at::Tensor storage_;
};

}  // namespace rubato
