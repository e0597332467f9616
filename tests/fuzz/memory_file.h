#pragma once

#include <filesystem>
#include <string_view>

namespace rubato::fuzz {

/// A file that is in memory only and has a path all the same.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::filesystem::path path() const;

 private:
  int descriptor_;
};

}  // namespace rubato::fuzz
