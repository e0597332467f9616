#include "runtime/base/error.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "runtime/base/check.h"

namespace rubato {
namespace {

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> good = 5;
  const Result<int> bad = Error{Code::kNotFound, "gone", "field"};
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(*good, 5);
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.error(), (Error{Code::kNotFound, "gone", "field"}));
}

TEST(Result, GivesItsValueAway) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(3);
  const std::unique_ptr<int> value = std::move(result).value();
  EXPECT_EQ(*value, 3);
}

TEST(Status, IsSuccessUnlessItIsAnError) {
  EXPECT_TRUE(Status().ok());
  EXPECT_FALSE(Status(Error{Code::kInternal, "broken"}).ok());
}

TEST(Code, HasANameOfItsOwn) {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code)
    names.insert(to_string(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Code::kInternal) + 1);
  EXPECT_EQ(names.count("unknown"), 0u);
}

TEST(CheckDeathTest, SaysWhatWasFoundAndEndsTheProcess) {
  const int found = 3;
  EXPECT_DEATH(RUBATO_CHECK(found == 4, "found ", found), "check failed at .*: found == 4 found 3");
  RUBATO_CHECK(found == 3);
}

}  // namespace
}  // namespace rubato
