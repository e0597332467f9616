#include "runtime/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>

namespace rubato {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_color_mt("rubato");
    made->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
    return made;
  }();
  return *instance;
}

/// The bytes of the UTF-8 character that `text`, which is not empty, begins with; 0 if of none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  std::size_t size = 0;
  if (lead < 0x80) size = 1;
  if (lead >= 0xc2 && lead < 0xe0) size = 2;
  if (lead >= 0xe0 && lead < 0xf0) size = 3;
  if (lead >= 0xf0 && lead < 0xf5) size = 4;
  if (size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  return size;
}

/// Whether a character is one of U+0000-U+001F and U+007F-U+009F, to which terminals may listen.
bool is_control(std::string_view character) {
  const auto last = static_cast<unsigned char>(character.back());
  if (character.size() == 1) return last < 0x20 || last == 0x7f;
  return character.size() == 2 && character.front() == '\xc2' && last < 0xa0;
}

/// Control characters, and bytes that are no UTF-8, as `\x1b`, byte by byte.
std::string escaped(std::string_view message) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(message.size());
  while (!message.empty()) {
    const std::size_t size = character_bytes(message);
    const std::string_view character = message.substr(0, std::max<std::size_t>(size, 1));
    message.remove_prefix(character.size());
    if (size > 0 && !is_control(character)) {
      out += character;
      continue;
    }
    for (const char c : character) {
      const auto byte = static_cast<unsigned char>(c);
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace

void configure_logging(LogLevel least, std::string_view tag) {
  logger().set_level(to_spdlog(least));
  logger().set_pattern(tag.empty() ? std::string("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v")
                                   : "%Y-%m-%d %H:%M:%S.%e %^%l%$ [" + escaped(tag) + "] %v");
}

void log(LogLevel level, std::string_view message) {
  logger().log(to_spdlog(level), escaped(message));
}

}  // namespace rubato
