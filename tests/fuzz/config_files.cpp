// config.json and, behind a line "%%", generation_config.json: what is accepted is within bounds.
#include <fstream>

#include "runtime/base/check.h"
#include "runtime/checkpoint/model_config.h"
#include "tests/fuzz/targets.h"
#include "tests/support/temporary_folder.h"

namespace rubato::fuzz {
namespace {

void write(const std::filesystem::path& file, std::string_view content) {
  std::ofstream(file, std::ios::binary) << content;
}

}  // namespace

void config_files(std::string_view input) {
  static const testing::TemporaryFolder folder;
  constexpr std::string_view kBetween = "\n%%\n";
  const std::size_t at = input.find(kBetween);
  write(folder.path() / "config.json", input.substr(0, at));
  const auto more = folder.path() / "generation_config.json";
  if (at == std::string_view::npos) {
    std::filesystem::remove(more);
  } else {
    write(more, input.substr(at + kBetween.size()));
  }
  const auto config = read_model_config(folder.path());
  if (!config.ok()) {
    RUBATO_CHECK(config.error().message.starts_with(folder.path().string()));
    return;
  }
  RUBATO_CHECK(validate(*config, "again").ok());
  RUBATO_CHECK(config->parameter_count() > 0);
  RUBATO_CHECK(!config->eos_token_ids.empty());
}

}  // namespace rubato::fuzz
