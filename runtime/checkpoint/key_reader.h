#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/types.h"
#include "runtime/base/error.h"
#include "runtime/checkpoint/dtype.h"

namespace rubato {

/// "FILE: KEY WHAT"
Error bad_key(std::string_view file, std::string_view key, std::string_view what);

/// Reads the keys of a configuration file one by one and keeps the first error, so that the calling
/// code is a plain list of keys and their requirements. After an error the results are meaningless.
/// Borrows the object.
class KeyReader {
 public:
  KeyReader(std::string file, const boost::json::object& object);

  /// A required key whose only implemented value is `expected`.
  void require(std::string_view key, const boost::json::value& expected);

  /// The same for a key that may be absent or null, which means the implemented value.
  void expect_unless_absent(std::string_view key, const boost::json::value& expected);

  int integer(std::string_view key);
  double number(std::string_view key);

  /// A dtype under `key`, or under the name that newer exports use.
  DType dtype(std::string_view key, std::string_view newer_key);

  /// One token id or a list of them.
  std::vector<TokenId> ids(std::string_view key);

  /// Whether the key is present and not null.
  bool has(std::string_view key) const;

  const std::optional<Error>& error() const { return error_; }

 private:
  const boost::json::value* find(std::string_view key);
  int as_int(std::string_view key, const boost::json::value& value);
  void unsupported(std::string_view key,
                   const boost::json::value& found,
                   const boost::json::value& supported);
  void fail(std::string_view key, std::string_view what);

  std::string file_;
  const boost::json::object& object_;
  std::optional<Error> error_;
};

}  // namespace rubato
