#include "runtime/checkpoint/dtype.h"

#include <array>

namespace rubato {
namespace {

struct DTypeFacts {
  DType dtype;
  std::string_view name;
  std::string_view safetensors_name;
  std::int64_t bytes;
};

constexpr std::array kFacts = {DTypeFacts{DType::kFloat32, "float32", "F32", 4},
                               DTypeFacts{DType::kFloat16, "float16", "F16", 2},
                               DTypeFacts{DType::kBFloat16, "bfloat16", "BF16", 2}};

const DTypeFacts& facts(DType dtype) {
  return kFacts[static_cast<std::size_t>(dtype)];
}

}  // namespace

std::string_view to_string(DType dtype) {
  return facts(dtype).name;
}
std::int64_t byte_size(DType dtype) {
  return facts(dtype).bytes;
}
std::string_view safetensors_name(DType dtype) {
  return facts(dtype).safetensors_name;
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (const DTypeFacts& entry : kFacts) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

std::optional<DType> parse_safetensors_dtype(std::string_view name) {
  for (const DTypeFacts& entry : kFacts) {
    if (entry.safetensors_name == name) return entry.dtype;
  }
  return std::nullopt;
}

}  // namespace rubato
