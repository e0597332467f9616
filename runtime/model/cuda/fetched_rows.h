#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/model/cuda/device_memory.h"
#include "runtime/model/cuda/kernels.h"

namespace rubato::cuda {

/// Rows of a matrix on the GPU for the host to read: as many at a time as a bounded buffer holds,
/// neighbouring ones in one copy. Engine thread only.
class FetchedRows {
 public:
  /// For matrices of up to `most_rows` rows. The buffer holds them all or as many as `most_bytes`
  /// do, but at least one; as it is, 132 rows of LLaDA-8B's vocabulary.
  FetchedRows(std::int64_t width, std::int64_t most_rows, std::int64_t most_bytes = 64 << 20);

  /// Enqueues the copies of the first of `rows`, ascending, of `matrix`, [.., width]. They can be
  /// read when the stream has been waited for.
  void start(const float* matrix, std::vector<std::int64_t> rows, Stream stream);

  /// A row, one of those named, until the next call. Where it has not been copied yet, it is with
  /// those after it, and `wait` waits for them.
  std::span<const float> row(std::int64_t row, const std::function<void()>& wait);

 private:
  void fetch(std::size_t first);

  const std::int64_t width_, held_rows_;
  const float* matrix_ = nullptr;
  std::vector<std::int64_t> rows_;
  Stream stream_ = nullptr;
  std::size_t begin_ = 0, end_ = 0;  // of rows_: what the buffer holds
  Memory host_{Memory::Place::kPinned};
};

}  // namespace rubato::cuda
