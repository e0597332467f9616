#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace rubato {

/// Hands out contiguous ranges of cache rows, one per sequence (a canvas never grows). First fit;
/// freed neighbours merge. Pure bookkeeping: the tensors are `CacheStore`'s. Owner: the scheduler;
/// not thread safe.
class SlotAllocator {
 public:
  explicit SlotAllocator(std::int64_t capacity);

  /// The first row of a free range of `length` >= 1 rows, or nothing if none is long enough now.
  std::optional<std::int64_t> allocate(std::int64_t length);

  /// Frees a range; `begin` is one that `allocate` returned and that is not yet free.
  void release(std::int64_t begin);

  std::int64_t capacity() const { return capacity_; }
  std::int64_t used() const { return used_; }

 private:
  std::int64_t capacity_;
  std::int64_t used_ = 0;
  std::map<std::int64_t, std::int64_t> free_;   // begin -> length, never adjacent
  std::map<std::int64_t, std::int64_t> taken_;  // begin -> length
};

}  // namespace rubato
