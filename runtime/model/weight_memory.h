#pragma once

#include <cstddef>
#include <memory>

namespace rubato {

/// Memory for weights; owns it. Not initialised: its pages are first touched, and so taken, by the
/// threads that write them. Of a large matrix they are large pages where the system grants them
/// (transparent huge pages): thousands of times fewer to take while loading and to look up while
/// computing.
class WeightMemory {
 public:
  WeightMemory() = default;
  /// The process ends when there is not so much.
  explicit WeightMemory(std::size_t bytes);

  void* get() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::unique_ptr<void, Free> memory_;
};

}  // namespace rubato
