#include "launch/read_server_config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

class ServerConfigTest : public ::testing::Test {
 protected:
  void SetUp() override { unsetenv(kAccessKeyVariable); }
  void TearDown() override { unsetenv(kAccessKeyVariable); }

  const testing::TemporaryFolder folder_;
};

TEST_F(ServerConfigTest, NeedsNoKeyByDefault) {
  const auto config = read_server_config({});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_FALSE(config->keys.required());
  EXPECT_FALSE(config->cross_origin.open());
}

TEST_F(ServerConfigTest, HeartbeatsAreOffUnlessATimeIsGivenHoweverShort) {
  ServerSection section;
  EXPECT_EQ(read_server_config(section)->stream_heartbeat.count(), 0);
  section.stream_heartbeat_s = 2.5;
  EXPECT_EQ(read_server_config(section)->stream_heartbeat.count(), 2500);
  section.stream_heartbeat_s = 1e-6;
  EXPECT_EQ(read_server_config(section)->stream_heartbeat.count(), 1);
}

TEST_F(ServerConfigTest, KeysOfFileAndEnvironmentBothCount) {
  std::ofstream(folder_.path() / "keys") << "of-file\n";
  setenv(kAccessKeyVariable, "of-environment", 1);
  ServerSection section;
  section.api_key_file = folder_.path() / "keys";
  const auto config = read_server_config(section);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_TRUE(config->keys.admits("Bearer of-file"));
  EXPECT_TRUE(config->keys.admits("Bearer of-environment"));
  EXPECT_FALSE(config->keys.admits("Bearer other"));
}

TEST_F(ServerConfigTest, AnEmptyVariableOrAMissingFileIsAnErrorAndNotAnOpenDoor) {
  setenv(kAccessKeyVariable, "", 1);
  const auto empty = read_server_config({});
  ASSERT_FALSE(empty.ok());
  EXPECT_NE(empty.error().message.find("RUBATO_API_KEY"), std::string::npos);
  unsetenv(kAccessKeyVariable);
  ServerSection section;
  section.api_key_file = folder_.path() / "none";
  EXPECT_FALSE(read_server_config(section).ok());
}

TEST_F(ServerConfigTest, WhatIsBoundToIsAnAddress) {
  ServerSection section;
  for (const char* name : {"localhost", "", "127.0.0.1:80", "[::1]"}) {
    section.bind = name;
    const auto config = read_server_config(section);
    ASSERT_FALSE(config.ok()) << name;
    EXPECT_EQ(config.error().param, "server.bind");
    EXPECT_EQ(config.error().message,
              "server.bind is \"" + section.bind +
                  "\"; allowed: an IP address such as 127.0.0.1, 0.0.0.0 or ::");
  }
  for (const char* address : {"127.0.0.1", "0.0.0.0", "::", "::1"}) {
    section.bind = address;
    EXPECT_TRUE(read_server_config(section).ok()) << address;
  }
}

TEST_F(ServerConfigTest, AUrlHasBracketsAroundColons) {
  EXPECT_EQ(url_of("127.0.0.1", 80), "http://127.0.0.1:80");
  EXPECT_EQ(url_of("::", 80), "http://[::]:80");
}

TEST_F(ServerConfigTest, OriginsAreChecked) {
  ServerSection section;
  section.cors_origins = "https://a.org";
  EXPECT_TRUE(read_server_config(section).value().cross_origin.open());
  section.cors_origins = "a.org";
  EXPECT_FALSE(read_server_config(section).ok());
}

}  // namespace
}  // namespace rubato
