#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

namespace rubato {

/// `value` as JSON, with numbers in plain decimal notation and the fewest digits that read back the
/// same (Boost.JSON writes 0.9 as 9E-1).
std::string to_json(const boost::json::value& value);

/// `text` truncated to at most `most` bytes, between characters; invalid UTF-8 becomes U+FFFD.
std::string bounded_utf8(std::string_view text, std::size_t most);

}  // namespace rubato
