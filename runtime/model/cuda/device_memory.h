#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace rubato::cuda {

/// Says how much memory of which kind could not be allocated, and why.
class OutOfMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Memory of the current GPU, or of the host for the GPU to copy from and to (`kPinned`); owns it.
/// It is allocated once and never moves or grows: graphs keep its addresses, and a rank that ran
/// out of memory during a step would leave the others waiting. Not thread safe.
class Memory {
 public:
  enum class Place : std::uint8_t { kDevice, kPinned };

  explicit Memory(Place place = Place::kDevice) : place_(place) {}
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;

  /// At least `bytes`. The first call that asks for any allocates them, or throws OutOfMemory; if a
  /// later call asks for more, the process ends.
  void* bytes(std::size_t bytes);

  template <class T>
  T* as(std::int64_t count) {
    return static_cast<T*>(bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }

  std::size_t size() const { return size_; }

 private:
  Place place_;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace rubato::cuda
