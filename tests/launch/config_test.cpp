#include "launch/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "launch/config_keys.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// A configuration file that lives as long as the test.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text)
      : path_(std::filesystem::path(::testing::TempDir()) /
              concat(::testing::UnitTest::GetInstance()->current_test_info()->name(), ".toml")) {
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { std::filesystem::remove(path_); }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string error_of(const std::string& text) {
  const ConfigFile file(text);
  const auto loaded = load_config(file.path(), {});
  return loaded ? "no error" : loaded.error().message;
}

std::string override_error(std::string key, std::string value) {
  const auto loaded = load_config({}, {{std::move(key), std::move(value)}});
  return loaded ? "no error" : loaded.error().message;
}

std::filesystem::path sample() {
  return std::filesystem::path(RUBATO_SOURCE_DIR) / "launch" / "rubato.toml";
}

TEST(Config, SampleFileHoldsTheDefaults) {
  const auto loaded = load_config(sample(), {});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(*loaded, Config{});
}

TEST(Config, SampleFileNamesEveryKeyInOrder) {
  std::ifstream in(sample());
  std::vector<std::string> found;
  std::string section;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('[')) section = line.substr(1, line.find(']') - 1);
    const std::size_t equals = line.find(" = ");
    if (!line.starts_with('#') && equals != std::string::npos)
      found.push_back(concat(section, '.', line.substr(0, equals)));
  }
  Config config;
  std::vector<std::string> known;
  for (const ConfigKey& key : config_keys(config)) known.push_back(key.dotted());
  EXPECT_EQ(found, known);
}

TEST(Config, FileOverridesDefaultsAndOverridesOverrideTheFile) {
  const ConfigFile file("[server]\nport = 1234\nbind = \"::1\"\n[decoding]\ngamma = 1\n");
  const auto loaded = load_config(
      file.path(), {{"server.port", "99"}, {"model.name", "a=b"}, {"server.port", "100"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->server.port, 100);
  EXPECT_EQ(loaded->server.bind, "::1");
  EXPECT_EQ(loaded->decoding.parameters.gamma, 1.0);
  EXPECT_EQ(loaded->model.name, "a=b");
}

TEST(Config, EveryDefaultIsAllowed) {
  Config config;
  for (const ConfigKey& key : config_keys(config)) {
    const Status assigned = std::visit(
        [&](auto* place) {
          if constexpr (std::is_same_v<decltype(place), std::string*>) {
            return assign(key, std::string_view(*place));
          } else {
            return assign(key, static_cast<double>(*place), "default");
          }
        },
        key.place);
    EXPECT_TRUE(assigned) << key.dotted();
  }
  EXPECT_EQ(config, Config{});
}

TEST(Config, UnknownKeyIsNamedWithFileLineAndTheKeysThereAre) {
  EXPECT_THAT(error_of("[server]\n\nprot = 1\n"),
              AllOf(HasSubstr(".toml, line 3: unknown key server.prot"), HasSubstr("bind, port")));
}

TEST(Config, UnknownSectionIsNamedWithTheSectionsThereAre) {
  EXPECT_THAT(error_of("[sever]\nport = 1\n"),
              AllOf(HasSubstr("unknown section in sever.port"), HasSubstr("server, model")));
  EXPECT_THAT(error_of("port = 1\n"), HasSubstr("unexpected port; the sections are: server"));
  EXPECT_THAT(error_of("[sever]\n"), HasSubstr("unexpected sever"));
}

TEST(Config, NumberOutOfRangeSaysKeyValueAndRange) {
  EXPECT_THAT(error_of("[server]\nport = 65536\n"),
              HasSubstr("server.port is 65536; allowed: a whole number from 0 to 65535"));
  EXPECT_THAT(error_of("[decoding]\nthreshold = 0\n"),
              HasSubstr("decoding.threshold is 0; allowed: a number above 0, up to 1"));
  EXPECT_THAT(error_of("[decoding]\ngamma = nan\n"), HasSubstr("decoding.gamma is nan"));
  EXPECT_THAT(error_of("[server]\nthreads = 1.5\n"), HasSubstr("server.threads is 1.5"));
  EXPECT_THAT(error_of("[engine]\nreplicas = 0\n"),
              HasSubstr("engine.replicas is 0; allowed: a whole number from 1 to 1024"));
}

TEST(Config, CacheTokensAreANumberOrAuto) {
  const auto tokens = [](const std::string& value) {
    const ConfigFile file("[engine]\ncache_tokens = " + value + "\n");
    return load_config(file.path(), {})->engine.cache_tokens;
  };
  EXPECT_EQ(tokens("\"auto\""), 0);
  EXPECT_EQ(tokens("512"), 512);
  const auto loaded = load_config({}, {{"engine.cache_tokens", "auto"}});
  ASSERT_TRUE(loaded);
  EXPECT_THAT(describe(*loaded)[2], HasSubstr("cache_tokens = \"auto\", "));
  const std::string allowed = "; allowed: \"auto\" or a whole number from 1 to 1000000000000";
  EXPECT_THAT(error_of("[engine]\ncache_tokens = 0\n"),
              HasSubstr("engine.cache_tokens is 0" + allowed));
  EXPECT_THAT(error_of("[engine]\ncache_tokens = \"all\"\n"),
              HasSubstr("engine.cache_tokens is \"all\"" + allowed));
  EXPECT_THAT(override_error("engine.cache_tokens", "all"), HasSubstr("is \"all\"" + allowed));
  EXPECT_THAT(override_error("engine.max_sequences", "auto"), HasSubstr("is \"auto\"; allowed"));
}

TEST(Config, ValueOfAnotherTypeIsRefused) {
  EXPECT_THAT(error_of("[server]\nport = \"80\"\n"), HasSubstr("server.port is \"80\""));
  EXPECT_THAT(error_of("[server]\nport = true\n"), HasSubstr("server.port is true"));
  EXPECT_THAT(error_of("[server]\nport = [80]\n"), HasSubstr("server.port is [ 80 ]"));
  EXPECT_THAT(error_of("[server]\nbind = 1\n"), HasSubstr("server.bind is 1; allowed: a string"));
}

TEST(Config, WordThatIsNotOneOfTheChoicesListsThem) {
  EXPECT_THAT(error_of("[decoding]\npolicy = \"elastc\"\n"),
              AllOf(HasSubstr("decoding.policy is \"elastc\"; allowed: one of "),
                    HasSubstr("\"elastic\"")));
}

TEST(Config, OverridesAreCheckedLikeTheFile) {
  EXPECT_THAT(override_error("server.port", "80x"), HasSubstr("server.port is \"80x\""));
  EXPECT_THAT(override_error("server.port", ""), HasSubstr("server.port is \"\""));
  EXPECT_THAT(override_error("server.port", "-1"), HasSubstr("server.port is -1"));
  EXPECT_THAT(override_error("server", "1"), HasSubstr("unknown key server;"));
  EXPECT_THAT(override_error("port", "1"), HasSubstr("unknown section in port"));
}

TEST(Config, BrokenTomlNamesFileAndLine) {
  EXPECT_THAT(error_of("[server]\nport = \n"), HasSubstr(".toml, line 2: "));
  const auto missing = load_config("/no/such/file.toml", {});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("/no/such/file.toml: "));  // and no line
}

TEST(Config, OverrideIsSplitAtTheFirstEqualsSign) {
  const auto change = parse_override("model.name=a=b");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->key, "model.name");
  EXPECT_EQ(change->value, "a=b");
  EXPECT_FALSE(parse_override("model.name"));
  EXPECT_FALSE(parse_override("=1"));
}

TEST(Config, DescriptionHasALineASection) {
  Config config;
  config.log.level = "debug";
  const auto lines = describe(config);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_THAT(lines.front(), HasSubstr("[server] bind = \"127.0.0.1\", port = 8000, "));
  EXPECT_EQ(lines.back(), "[log] level = \"debug\"");
}

TEST(Config, DecodingDefaultsBecomeTheEnginesParameters) {
  Config config;
  config.decoding.drift = "rows";
  config.decoding.threshold = 0.5;
  const PolicyParams params = policy_params(config.decoding);
  EXPECT_EQ(params.policy->name, "elastic");
  EXPECT_EQ(params.drift, DriftMeasure::kRows);
  EXPECT_EQ(params.window, 16);
  EXPECT_EQ(commit_params(config.decoding), (CommitParams{.threshold = 0.5}));
}

TEST(Config, LogLevelsAreThoseOfTheLog) {
  EXPECT_EQ(log_level({"debug"}), LogLevel::kDebug);
  EXPECT_EQ(log_level({"info"}), LogLevel::kInfo);
  EXPECT_EQ(log_level({"warning"}), LogLevel::kWarning);
  EXPECT_EQ(log_level({"error"}), LogLevel::kError);
}

TEST(Config, IsDescribedInFull) {
  const auto loaded = load_config({}, {{"decoding.gamma", "0.90000000000000002"}});
  ASSERT_TRUE(loaded);
  EXPECT_THAT(describe(*loaded)[3], HasSubstr("gamma = 0.9,"));
  const auto close = load_config({}, {{"decoding.gamma", "0.9000000001"}});
  ASSERT_TRUE(close);
  EXPECT_THAT(describe(*close)[3], HasSubstr("gamma = 0.9000000001,"));
}

TEST(Config, MayDifferBetweenRanksOnlyInWhatIsAMatterOfTheMachine) {
  Config config;
  std::vector<std::string> names;
  for (const ConfigKey& key : config_keys(config)) {
    if (key.may_differ) names.push_back(key.dotted());
  }
  EXPECT_THAT(names, ::testing::ElementsAre("model.path", "engine.threads", "log.level"));
}

}  // namespace
}  // namespace rubato
