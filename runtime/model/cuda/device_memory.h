#pragma once

#include <cstddef>
#include <cstdint>

namespace rubato::cuda {

/// Memory of the current GPU, or of the host for the GPU to copy from and to (`kPinned`); owns it.
/// It only grows, by a quarter at least where there is room: growing waits for the GPU, and what
/// was recorded of the old place is lost, so that it must not go on for long. Not thread safe.
class Memory {
 public:
  enum class Place : std::uint8_t { kDevice, kPinned };

  explicit Memory(Place place = Place::kDevice) : place_(place) {}
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;

  /// At least `bytes`; the content is lost when it grows.
  void* bytes(std::size_t bytes);

  template <class T>
  T* as(std::int64_t count) {
    return static_cast<T*>(bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }

  std::size_t size() const { return size_; }

  /// How often it has grown, and so moved.
  std::uint64_t moves() const { return moves_; }

 private:
  Place place_;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t moves_ = 0;
};

}  // namespace rubato::cuda
