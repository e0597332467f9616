#include "launch/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rubato {
namespace {

using ::testing::HasSubstr;

Result<Config> load(const std::string& arguments) {
  CLI::App command("test");
  const ConfigOptions options(command);
  command.parse(arguments);
  return options.load();
}

TEST(ConfigOptions, NothingGivenIsTheDefaults) {
  const auto config = load("");
  ASSERT_TRUE(config);
  EXPECT_EQ(*config, Config{});
}

TEST(ConfigOptions, FlagsNameTheirKeys) {
  const auto config =
      load("--model m --tp 4 --port 0 --device cpu --dtype bfloat16 --quantization fp8");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->model.path, "m");
  EXPECT_EQ(config->engine.tp, 4);
  EXPECT_EQ(config->server.port, 0);
  EXPECT_EQ(config->engine.device, "cpu");
  EXPECT_EQ(config->model.dtype, "bfloat16");
  EXPECT_EQ(config->model.quantization, "fp8");
}

TEST(ConfigOptions, FlagOverridesSetAndTheLastSetWins) {
  const auto config = load("--set server.port=1 --port 2 --set model.name=a --set model.name=b");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server.port, 2);
  EXPECT_EQ(config->model.name, "b");
}

TEST(ConfigOptions, AFlagWithAnEmptyValueIsNoDefault) {
  CLI::App command("test");
  const ConfigOptions options(command);
  const char* const arguments[] = {"test", "--model", ""};
  command.parse(3, arguments);
  EXPECT_EQ(options.load().value().model.path, "");
}

TEST(ConfigOptions, AnEmptyNameOfAFileIsAnErrorAndNotTheDefaults) {
  CLI::App command("test");
  const ConfigOptions options(command);
  const char* const arguments[] = {"test", "--config", ""};
  command.parse(3, arguments);
  const auto config = options.load();
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().param, "--config");
}

TEST(ConfigOptions, BadValueIsNamedByItsKey) {
  const auto config = load("--port 65536");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("server.port is 65536; allowed: "));
}

TEST(ConfigOptions, SetWithoutEqualsSignSaysWhatIsWanted) {
  const auto config = load("--set server.port");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("--set \"server.port\""));
}

TEST(ConfigOptions, UnknownFlagIsRefused) {
  EXPECT_THROW(static_cast<void>(load("--prot 1")), CLI::ParseError);
}

TEST(ConfigOptions, HelpShowsTheDefaults) {
  CLI::App command("test");
  const ConfigOptions options(command);
  EXPECT_THAT(command.help(), HasSubstr("(default 8000)"));
}

}  // namespace
}  // namespace rubato
