#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

namespace rubato {

/// `value` as JSON, numbers as people write them and in the fewest digits that read back the same
/// (Boost.JSON writes 0.9 as 9E-1).
std::string to_json(const boost::json::value& value);

/// `text` cut to `most` bytes between two characters; what is not UTF-8 becomes U+FFFD.
std::string bounded_utf8(std::string_view text, std::size_t most);

}  // namespace rubato
