#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/checkpoint/dtype.h"
#include "runtime/checkpoint/mapped_file.h"

namespace rubato {

/// One tensor as a safetensors header describes it, checked.
struct TensorEntry {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  ///< first byte, from the file's start
  std::uint64_t end = 0;    ///< one past the last byte

  bool operator==(const TensorEntry&) const = default;
};

/// "[256, 768]"
std::string shape_text(const std::vector<std::int64_t>& shape);

/// The tensors of a header's JSON text, in the order of their data. Every message begins with
/// `where` (the file). The data, `data_bytes` bytes, begins at byte `data_begin` of the file. Every
/// range is checked against it, against the tensor's shape and dtype, and against the other ranges:
/// as in the format's reference implementation, they must cover the data without overlaps or gaps.
Result<std::vector<TensorEntry>> parse_safetensors_header(std::string_view text,
                                                          std::string_view where,
                                                          std::uint64_t data_begin,
                                                          std::uint64_t data_bytes);

/// A mapped .safetensors file with a checked header.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& file);

  const std::filesystem::path& path() const { return file_->path(); }
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  const MappedFile& mapping() const { return *file_; }

 private:
  SafetensorsFile(std::unique_ptr<MappedFile> file, std::vector<TensorEntry> tensors)
      : file_(std::move(file)), tensors_(std::move(tensors)) {}

  std::unique_ptr<MappedFile> file_;
  std::vector<TensorEntry> tensors_;
};

}  // namespace rubato
