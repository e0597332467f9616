#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rubato {

/// Cuts a stream of server-sent events into the data of each, as its bytes arrive. Not thread safe.
class EventReader {
 public:
  void add(std::string_view bytes) { pending_ += bytes; }

  /// The data of the next whole event, if there is one; events without data are skipped.
  std::optional<std::string> next();

 private:
  std::string pending_;
};

}  // namespace rubato
