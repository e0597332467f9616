#include "benchmarks/serving/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rubato {
namespace {

using ::testing::HasSubstr;

TEST(ServerAddress, TakesAUrlApart) {
  const std::pair<const char*, ServerAddress> cases[] = {
      {"http://localhost", {"localhost", "80", ""}},
      {"http://127.0.0.1:8000", {"127.0.0.1", "8000", ""}},
      {"http://127.0.0.1:8000/", {"127.0.0.1", "8000", ""}},
      {"http://127.0.0.1:8000/v1", {"127.0.0.1", "8000", ""}},
      {"http://127.0.0.1:8000/v1/", {"127.0.0.1", "8000", ""}},
      {"http://gate:81/llada/v1", {"gate", "81", "/llada"}},
      {"http://[::1]:8000", {"::1", "8000", ""}},
  };
  for (const auto& [url, expected] : cases) {
    const auto address = parse_address(url);
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_EQ(*address, expected) << url;
  }
}

TEST(ServerAddress, IsShownAsAUrlThatNamesThePort) {
  EXPECT_EQ(parse_address("http://[::1]/a/")->url(), "http://[::1]:80/a");
}

TEST(ServerAddress, ThatIsNoneIsRefusedWithTheReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"127.0.0.1:8000", "is no URL"},
      {"localhost:8000", "does not begin with http://"},
      {"https://localhost", "does not begin with http://"},
      {"http://", "names no host"},
      {"http://me:secret@localhost", "has more than"},
      {"http://localhost/?a=1", "has more than"},
      {"http://local host", "is no URL"},
  };
  for (const auto& [url, reason] : cases) {
    const auto address = parse_address(url);
    ASSERT_FALSE(address.ok()) << url;
    EXPECT_EQ(address.error().code, Code::kInvalidArgument);
    EXPECT_THAT(address.error().message, HasSubstr(reason)) << url;
  }
}

}  // namespace
}  // namespace rubato
