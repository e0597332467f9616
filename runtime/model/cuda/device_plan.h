#pragma once

#include <cstring>
#include <span>

#include "runtime/base/check.h"
#include "runtime/model/cuda/device_memory.h"
#include "runtime/model/cuda/kernels.h"

namespace rubato::cuda {

/// The lists of a step (rows, tiles, jobs), gathered in pinned memory and copied to the GPU in one
/// go before the kernels that read them. Addresses hold for the step. Engine thread only.
class DevicePlan {
 public:
  explicit DevicePlan(std::size_t capacity)
      : capacity_(capacity),
        host_(pinned_.as<std::byte>(static_cast<std::int64_t>(capacity))),
        device_(memory_.as<std::byte>(static_cast<std::int64_t>(capacity))) {}

  /// For the next step. The GPU has done the last one's work by now.
  void clear() { size_ = uploaded_ = 0; }

  /// Where the list will be on the GPU.
  template <class T>
  const T* add(std::span<const T> list) {
    constexpr std::size_t kAlignment = 16;
    const std::size_t begin = (size_ + kAlignment - 1) / kAlignment * kAlignment;
    RUBATO_CHECK(begin + list.size_bytes() <= capacity_, begin + list.size_bytes(), " bytes");
    if (!list.empty()) std::memcpy(host_ + begin, list.data(), list.size_bytes());
    size_ = begin + list.size_bytes();
    return reinterpret_cast<const T*>(device_ + begin);
  }
  template <class List>
  auto add_all(const List& list) {
    return add(std::span<const typename List::value_type>(list));
  }

  /// Copies what was added since the last call.
  void upload(Stream stream);

 private:
  std::size_t capacity_, size_ = 0, uploaded_ = 0;
  Memory pinned_{Memory::Place::kPinned}, memory_;
  std::byte* const host_;
  std::byte* const device_;
};

}  // namespace rubato::cuda
