#include "benchmarks/serving/event_reader.h"

namespace rubato {
namespace {

/// Cuts the first line, with its ending, off `text`.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// The lines "data: ..." of an event, joined; nothing if there are none.
std::optional<std::string> data_of(std::string_view event) {
  constexpr std::string_view kData = "data:";
  std::optional<std::string> data;
  while (!event.empty()) {
    std::string_view line = take_line(event);
    if (!line.starts_with(kData)) continue;
    line.remove_prefix(kData.size());
    if (line.starts_with(' ')) line.remove_prefix(1);
    data = data ? *data + '\n' : std::string();
    *data += line;
  }
  return data;
}

}  // namespace

std::optional<std::string> EventReader::next() {
  for (;;) {
    const std::size_t plain = pending_.find("\n\n"), with_return = pending_.find("\r\n\r\n");
    const std::size_t end = std::min(plain, with_return);
    if (end == std::string::npos) return std::nullopt;
    std::optional<std::string> data = data_of(std::string_view(pending_).substr(0, end));
    pending_.erase(0, end + (end == plain ? 2 : 4));
    if (data) return data;
  }
}

}  // namespace rubato
