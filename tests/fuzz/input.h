#pragma once

#include <cstdint>
#include <string_view>

namespace rubato::fuzz {

/// Takes a fuzzer's bytes apart. At the end there are only zeros.
class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }

  /// From 0 to `most`, at most 255.
  int up_to(int most) { return byte() % (most + 1); }
  bool flag() { return (byte() & 1) != 0; }

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace rubato::fuzz
