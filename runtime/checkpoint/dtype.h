#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rubato {

/// The number formats that weights are stored in and computed with.
enum class DType : std::uint8_t { kFloat32, kFloat16, kBFloat16 };

/// "float32", "float16" or "bfloat16": as in config.json and on the command line.
std::string_view to_string(DType dtype);

/// Bytes of one value.
std::int64_t byte_size(DType dtype);

/// The dtype with that name in config.json or on the command line, if it is supported.
std::optional<DType> parse_dtype(std::string_view name);

/// "F32", "F16" or "BF16": as in a safetensors header.
std::string_view safetensors_name(DType dtype);

/// The dtype with that name in a safetensors header, if it is supported.
std::optional<DType> parse_safetensors_dtype(std::string_view name);

}  // namespace rubato
