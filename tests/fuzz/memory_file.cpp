#include "tests/fuzz/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/check.h"

namespace rubato::fuzz {

MemoryFile::MemoryFile(std::string_view content)
    : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
  RUBATO_CHECK(descriptor_ >= 0);
  const ssize_t written = ::pwrite(descriptor_, content.data(), content.size(), 0);
  RUBATO_CHECK(written == std::ssize(content));
}

MemoryFile::~MemoryFile() {
  ::close(descriptor_);
}

std::filesystem::path MemoryFile::path() const {
  return "/proc/self/fd/" + std::to_string(descriptor_);
}

}  // namespace rubato::fuzz
