#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rubato {

/// Splits a stream of server-sent events into the data of each event, as its bytes arrive. Not
/// thread safe.
class EventReader {
 public:
  void add(std::string_view bytes) { pending_ += bytes; }

  /// The data of the next complete event, if there is one; skips events without data.
  std::optional<std::string> next();

 private:
  std::string pending_;
};

}  // namespace rubato
