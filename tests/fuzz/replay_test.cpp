// Every input that is kept, through its target. What one of them does wrong ends the program; the
// last line printed names it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <vector>

#include "tests/fuzz/targets.h"

namespace rubato::fuzz {
namespace {

void replay(void (*target)(std::string_view), const char* name) {
  const std::filesystem::path folder =
      std::filesystem::path(RUBATO_SOURCE_DIR "/tests/fuzz/corpus") / name;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  std::ranges::sort(files);
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    std::cout << file.filename().string() << std::endl;
    std::ostringstream bytes;
    bytes << std::ifstream(file, std::ios::binary).rdbuf();
    target(std::move(bytes).str());
  }
  target("");
}

#define RUBATO_REPLAY(target)       \
  TEST(FuzzCorpus, target) {        \
    replay(&fuzz::target, #target); \
  }

RUBATO_REPLAY(http_request)
RUBATO_REPLAY(json_request)
RUBATO_REPLAY(answer_stream)
RUBATO_REPLAY(tokenizer_file)
RUBATO_REPLAY(text)
RUBATO_REPLAY(config_files)
RUBATO_REPLAY(safetensors)
RUBATO_REPLAY(wire_message)

}  // namespace
}  // namespace rubato::fuzz
