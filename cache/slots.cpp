#include "cache/slots.h"

#include <algorithm>
#include <iterator>

#include "runtime/base/check.h"

namespace rubato {

SlotAllocator::SlotAllocator(std::int64_t capacity) : capacity_(capacity) {
  RUBATO_CHECK(capacity > 0, "capacity ", capacity);
  free_.emplace(0, capacity);
}

std::optional<std::int64_t> SlotAllocator::allocate(std::int64_t length) {
  RUBATO_CHECK(length > 0, "length ", length);
  const auto fit =
      std::ranges::find_if(free_, [length](const auto& range) { return range.second >= length; });
  if (fit == free_.end()) return std::nullopt;
  const auto [begin, free_length] = *fit;
  free_.erase(fit);
  if (free_length > length) free_.emplace(begin + length, free_length - length);
  taken_.emplace(begin, length);
  used_ += length;
  return begin;
}

void SlotAllocator::release(std::int64_t begin) {
  const auto taken = taken_.find(begin);
  RUBATO_CHECK(taken != taken_.end(), "row ", begin, " is no slot's first");
  used_ -= taken->second;
  auto freed = free_.emplace(begin, taken->second).first;
  taken_.erase(taken);
  if (const auto next = std::next(freed);
      next != free_.end() && freed->first + freed->second == next->first) {
    freed->second += next->second;
    free_.erase(next);
  }
  if (freed == free_.begin()) return;
  if (const auto previous = std::prev(freed); previous->first + previous->second == freed->first) {
    previous->second += freed->second;
    free_.erase(freed);
  }
}

}  // namespace rubato
