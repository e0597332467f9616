#include "http/access_keys.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

AccessKeys keys(const char* text) {
  return AccessKeys::parse(text, "test").value();
}

TEST(AccessKeys, LetEverybodyInWhereThereIsNone) {
  const AccessKeys none;
  EXPECT_FALSE(none.required());
  EXPECT_TRUE(none.admits(""));
  EXPECT_TRUE(none.admits("Bearer x"));
  EXPECT_TRUE(none.admits("Basic x"));
}

TEST(AccessKeys, AdmitAnyOfTheKeysAndNothingElse) {
  const AccessKeys two = keys("alpha-key\n# a comment\n\n  beta-key  \r\n");
  EXPECT_TRUE(two.required());
  for (const char* good :
       {"Bearer alpha-key", "Bearer beta-key", "bearer beta-key", "Bearer  beta-key"})
    EXPECT_TRUE(two.admits(good)) << good;
  for (const char* bad : {"",
                          "Bearer",
                          "Bearer ",
                          "alpha-key",
                          "Basic alpha-key",
                          "Bearer alpha-ke",
                          "Bearer alpha-keyy",
                          "Bearer alpha-keyalpha-key",
                          "Bearer lpha-key",
                          "Bearer ALPHA-KEY",
                          "Bearer # a comment",
                          "Bearer alpha-key beta-key"}) {
    EXPECT_FALSE(two.admits(bad)) << bad;
  }
}

TEST(AccessKeys, ASourceWithoutAKeyIsAnErrorAndNoErrorHoldsAKey) {
  EXPECT_FALSE(AccessKeys::parse("", "test").ok());
  EXPECT_FALSE(AccessKeys::parse("# none\n\n", "test").ok());
  const auto spaced = AccessKeys::parse("good\nsecret one\n", "test");
  ASSERT_FALSE(spaced.ok());
  EXPECT_NE(spaced.error().message.find("line 2"), std::string::npos);
  EXPECT_EQ(spaced.error().message.find("secret"), std::string::npos);
}

TEST(AccessKeys, AreReadFromAFile) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder.path() / "keys") << "one\ntwo";
  const auto read = AccessKeys::read_file(folder.path() / "keys");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(read->admits("Bearer two"));
  EXPECT_FALSE(AccessKeys::read_file(folder.path() / "none").ok());
}

TEST(AccessKeys, OfSeveralSourcesAllCount) {
  AccessKeys all = keys("one");
  all.add(keys("two"));
  EXPECT_TRUE(all.admits("Bearer one"));
  EXPECT_TRUE(all.admits("Bearer two"));
}

}  // namespace
}  // namespace rubato
