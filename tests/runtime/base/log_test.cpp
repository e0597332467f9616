#include "runtime/base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace rubato {
namespace {

using namespace std::string_literals;

/// What a message comes to on stderr, without the line's date and level.
std::string logged(const std::string& message) {
  ::testing::internal::CaptureStderr();
  log_error("begin " + message + " end");
  const std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(line.ends_with(" end\n")) << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "more than one line";
  const std::size_t begin = line.find("begin ");
  if (begin == std::string::npos) return line;
  return line.substr(begin + 6, line.size() - begin - 6 - 5);
}

TEST(Log, WritesTextAsItIs) {
  EXPECT_EQ(logged("a \"quoted\" \\ {} %s"), "a \"quoted\" \\ {} %s");
  EXPECT_EQ(logged("é ß 漢字 😀 \xc2\xa0"), "é ß 漢字 😀 \xc2\xa0");
}

TEST(Log, EscapesEveryControlCharacter) {
  EXPECT_EQ(logged("a\r\nforged line"), R"(a\x0d\x0aforged line)");
  EXPECT_EQ(logged("\x1b[31mred"), R"(\x1b[31mred)");
  EXPECT_EQ(logged("\0"s), R"(\x00)");
  for (int c = 0; c < 0x20; ++c)
    EXPECT_EQ(logged(std::string(1, static_cast<char>(c))).size(), 4U) << c;
  EXPECT_EQ(logged("\x7f"), R"(\x7f)");
}

// A terminal takes U+009B as it takes ESC [.
TEST(Log, EscapesTheControlCharactersBehindAscii) {
  EXPECT_EQ(logged("\xc2\x9b"
                   "31mred"),
            R"(\xc2\x9b31mred)");
  for (int c = 0x80; c < 0xa0; ++c)
    EXPECT_EQ(logged("\xc2"s + static_cast<char>(c)).size(), 8U) << c;
}

TEST(Log, EscapesWhatIsNoUtf8) {
  EXPECT_EQ(logged("\x9b"), R"(\x9b)");
  EXPECT_EQ(logged("a\xff\xc3 b"), R"(a\xff\xc3 b)");
  EXPECT_EQ(logged("\xe2\x82 b"), R"(\xe2\x82 b)");
  EXPECT_EQ(logged("\xe2\x9b b"), R"(\xe2\x9b b)");
  EXPECT_EQ(logged("\xf5\x80\x80\x80"), R"(\xf5\x80\x80\x80)");
}

}  // namespace
}  // namespace rubato
