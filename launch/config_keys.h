#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "launch/config.h"

namespace rubato {

/// One key of the configuration: where its value is stored and what is allowed.
struct ConfigKey {
  using Place = std::variant<int*, std::int64_t*, double*, std::string*>;

  std::string_view section;
  std::string_view name;
  Place place;       ///< into the Config that `config_keys` was called with
  double least = 0;  ///< for numbers
  double most = 0;
  bool above_least = false;  ///< `least` itself is not allowed
  /// Allowed strings; empty: any. For numbers: the word for 0, which is not allowed as a number.
  std::vector<std::string_view> words = {};
  bool may_differ = false;  ///< between the ranks of a job: it depends on the machine

  std::string dotted() const;   ///< "section.name"
  std::string allowed() const;  ///< "a whole number from 1 to 64", "one of auto, cpu"
};

/// All keys, in the order of launch/rubato.toml, bound to `config`.
std::vector<ConfigKey> config_keys(Config& config);

/// Sets a key from a number or a string, if it is allowed; `shown` is the value as written.
Status assign(const ConfigKey& key, double value, std::string_view shown);
Status assign(const ConfigKey& key, std::string_view value);

/// The error for a value that a key does not allow.
Error not_allowed(const ConfigKey& key, std::string_view shown);

/// The value of a key as TOML, numbers in full.
std::string show_value(const ConfigKey& key);

}  // namespace rubato
