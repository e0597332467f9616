#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rubato {

/// The number formats that weights are stored in and computed with.
enum class DType : std::uint8_t { kFloat32, kFloat16, kBFloat16 };

/// "float32", "float16" or "bfloat16": as config.json and the command line say it.
std::string_view to_string(DType dtype);

/// Bytes of one value.
std::int64_t byte_size(DType dtype);

/// The dtype that config.json or the command line calls `name`, if it is a supported one.
std::optional<DType> parse_dtype(std::string_view name);

/// "F32", "F16" or "BF16": as a safetensors header says it.
std::string_view safetensors_name(DType dtype);

/// The dtype that a safetensors header calls `name`, if it is a supported one.
std::optional<DType> parse_safetensors_dtype(std::string_view name);

}  // namespace rubato
