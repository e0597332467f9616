// A weights file: what is accepted lies within the file, and each byte of it belongs to one tensor.
#include "runtime/checkpoint/safetensors.h"

#include "runtime/base/check.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/targets.h"

namespace rubato::fuzz {

void safetensors(std::string_view input) {
  const MemoryFile file(input);
  const auto opened = SafetensorsFile::open(file.path());
  if (!opened.ok()) {
    RUBATO_CHECK(opened.error().message.find(file.path().string()) == 0, opened.error().message);
    return;
  }
  std::uint64_t covered = 0;
  for (const TensorEntry& tensor : opened->tensors()) {
    RUBATO_CHECK(tensor.begin <= tensor.end && tensor.end <= input.size());
    std::uint64_t bytes = byte_size(tensor.dtype);
    for (const std::int64_t size : tensor.shape) bytes *= static_cast<std::uint64_t>(size);
    RUBATO_CHECK(bytes == tensor.end - tensor.begin);
    covered += bytes;
  }
  if (!opened->tensors().empty())
    RUBATO_CHECK(opened->tensors().front().begin + covered == input.size());
}

}  // namespace rubato::fuzz
