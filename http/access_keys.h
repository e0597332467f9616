#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// The keys that give clients access; without any, everybody has access. Const methods may run on
/// several threads at once.
class AccessKeys {
 public:
  AccessKeys() = default;

  /// One key a line; empty lines and lines that begin with # are skipped. Errors: kInvalidArgument,
  /// with the line but never the key, if the file cannot be read, a key is not printable ASCII
  /// without spaces, or there is none (a server meant to be locked must not start open).
  static Result<AccessKeys> read_file(const std::filesystem::path& file);

  /// The same for a text; `source` names it in errors.
  static Result<AccessKeys> parse(std::string_view text, const std::string& source);

  bool required() const { return !keys_.empty(); }

  /// Whether an Authorization field carries one of the keys: "Bearer KEY". The time it takes
  /// depends on the field's length and the number of keys, not on how much of a key matches.
  bool admits(std::string_view authorization) const;

  void add(const AccessKeys& others);

 private:
  std::vector<std::string> keys_;
};

}  // namespace rubato
