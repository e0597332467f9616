#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "runtime/base/error.h"

namespace rubato {

/// A file mapped for reading, unmapped in the destructor. The kernel is told that access is random,
/// so that reading one rank's slice does not load the others around it. The mapping's address
/// never changes; not movable, hence held by `unique_ptr`. Any thread may read.
///
/// The file must not be truncated while mapped: SIGBUS would end the process.
class MappedFile {
 public:
  static Result<std::unique_ptr<MappedFile>> open(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  /// Asks the kernel to prefetch these bytes; returns at once.
  void will_need(std::uint64_t offset, std::uint64_t length) const;

  /// Tells the kernel that these bytes are no longer needed, so that they do not count as this
  /// process's memory. They can be read again.
  void release(std::uint64_t offset, std::uint64_t length) const;

  /// How many bytes of tensor data were copied from this file, for tests and start-up logs.
  std::uint64_t bytes_read() const { return bytes_read_; }
  void count_read(std::uint64_t bytes) const { bytes_read_ += bytes; }

 private:
  MappedFile(std::filesystem::path path, std::span<const std::byte> bytes);

  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
  mutable std::atomic<std::uint64_t> bytes_read_ = 0;
};

}  // namespace rubato
