#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "runtime/base/error.h"

namespace rubato {

/// Parses `text` as one JSON object, strictly: a duplicate key is an error (most parsers silently
/// keep one of the two), as are trailing characters, deep nesting and invalid UTF-8. Every message
/// begins with `where`.
Result<boost::json::object> parse_json_object(std::string_view text, std::string_view where);

/// Reads a whole file as one JSON object, see `parse_json_object`. Errors: kNotFound, if there is
/// no such file; kInvalidArgument, if it is not a regular file or larger than `max_bytes`.
Result<boost::json::object> read_json_object(const std::filesystem::path& file,
                                             std::uint64_t max_bytes);

/// A value for an error message, truncated if long.
std::string shown(const boost::json::value& value);

}  // namespace rubato
