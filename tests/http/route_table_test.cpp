#include "http/route_table.h"

#include <gtest/gtest.h>

namespace rubato {
namespace {

TEST(RouteTable, GivesEveryFileOfThePageTheEntryOfThePage) {
  for (const char* path : {"/", "/page/main.js"}) {
    EXPECT_EQ(find_path(path).path, "/");
    EXPECT_EQ(find_path(path).route, Route::kPage);
  }
}

TEST(RouteTable, GivesEveryModelOneEntry) {
  for (const char* path : {"/v1/models/tiny", "/v1/models/a/b", "/v1/models/"})
    EXPECT_EQ(find_path(path).path, "/v1/models/{id}") << path;
  EXPECT_EQ(find_path("/v1/models").route, Route::kModels);
  EXPECT_EQ(model_of("/v1/models/a/b"), "a/b");
  EXPECT_EQ(model_of("/v1/models"), std::nullopt);
}

TEST(RouteTable, GivesOtherPathsTheEntryOfNothing) {
  for (const char* path : {"", "/nowhere", "/page/nothing.js", "/page/index.html", "/health/"}) {
    EXPECT_EQ(find_path(path).route, Route::kNothing) << path;
    EXPECT_FALSE(find_path(path).open_to_all) << path;
  }
}

}  // namespace
}  // namespace rubato
