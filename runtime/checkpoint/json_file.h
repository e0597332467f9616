#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "runtime/base/error.h"

namespace rubato {

/// Parses `text` as one JSON object, strictly: a key given twice in one object is an error (the
/// usual parsers silently keep one of the two), as are trailing characters, deep nesting and bytes
/// that are not UTF-8. `where` begins every message.
Result<boost::json::object> parse_json_object(std::string_view text, std::string_view where);

/// Reads a whole file as one JSON object, see `parse_json_object`. kNotFound when there is no such
/// file; kInvalidArgument when it is not a regular file or larger than `max_bytes`.
Result<boost::json::object> read_json_object(const std::filesystem::path& file,
                                             std::uint64_t max_bytes);

/// A short rendering of a value for an error message; long ones are cut.
std::string shown(const boost::json::value& value);

}  // namespace rubato
