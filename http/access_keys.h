#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// The keys by which clients are let in; without any, everybody is. Const methods may run on any
/// thread at once.
class AccessKeys {
 public:
  AccessKeys() = default;

  /// One key a line; empty lines and lines that begin with # are skipped. Errors: kInvalidArgument,
  /// with the line but never the key: the file cannot be read, a key is not printable ASCII without
  /// spaces, or there is none (a server meant to be locked must not come up open).
  static Result<AccessKeys> read_file(const std::filesystem::path& file);

  /// The same of a text; `source` names it in errors.
  static Result<AccessKeys> parse(std::string_view text, const std::string& source);

  bool required() const { return !keys_.empty(); }

  /// Whether an Authorization field carries one of the keys: "Bearer KEY". The time it takes
  /// depends on the field's length and the keys' number, not on what they have in common.
  bool admits(std::string_view authorization) const;

  void add(const AccessKeys& others);

 private:
  std::vector<std::string> keys_;
};

}  // namespace rubato
