#include "http/access_keys.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <fstream>
#include <sstream>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

constexpr std::string_view kSpaces = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(kSpaces), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

/// Compares without stopping at the first difference.
bool equal_in_constant_time(std::string_view given, std::string_view key) {
  std::size_t difference = given.size() ^ key.size();
  for (std::size_t i = 0; i < given.size(); ++i)
    difference |= static_cast<unsigned char>(given[i] ^ key[i % key.size()]);
  // Through volatile, so that the compiler cannot stop at the first difference.
  const volatile std::size_t opaque = difference;
  return opaque == 0;
}

}  // namespace

Result<AccessKeys> AccessKeys::read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return Error{Code::kInvalidArgument, concat("cannot read the key file ", file.string())};
  return parse(text.str(), file.string());
}

Result<AccessKeys> AccessKeys::parse(std::string_view text, const std::string& source) {
  AccessKeys keys;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (!std::ranges::all_of(line, [](char c) { return c > ' ' && c < 0x7f; })) {
      return Error{
          Code::kInvalidArgument,
          concat(source, ", line ", number, ": a key is printable ASCII characters, no spaces")};
    }
    keys.keys_.emplace_back(line);
  }
  if (keys.keys_.empty()) return Error{Code::kInvalidArgument, concat(source, " holds no key")};
  return keys;
}

bool AccessKeys::admits(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (!boost::beast::iequals(authorization.substr(0, kScheme.size()), kScheme))
    return keys_.empty();
  const std::string_view given = trimmed(authorization.substr(kScheme.size()));
  bool found = keys_.empty();
  for (const std::string& key : keys_) found |= equal_in_constant_time(given, key);
  return found;
}

void AccessKeys::add(const AccessKeys& others) {
  keys_.insert(keys_.end(), others.keys_.begin(), others.keys_.end());
}

}  // namespace rubato
