#include "launch/open_files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace rubato {
namespace {

/// This process's limit, put back in the end.
class OpenFilesTest : public testing::Test {
 public:
  OpenFilesTest() { ::getrlimit(RLIMIT_NOFILE, &before_); }
  ~OpenFilesTest() override { ::setrlimit(RLIMIT_NOFILE, &before_); }

 protected:
  void set(rlim_t now) {
    const rlimit limit{now, before_.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  }

  static rlim_t in_force() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
  }

  rlimit before_{};
};

TEST_F(OpenFilesTest, AreRaisedToWhatIsWanted) {
  set(100);
  EXPECT_EQ(allow_open_files(200), 200);
  EXPECT_EQ(in_force(), 200u);
}

TEST_F(OpenFilesTest, AreNeverLowered) {
  set(200);
  EXPECT_EQ(allow_open_files(100), 200);
  EXPECT_EQ(in_force(), 200u);
}

TEST_F(OpenFilesTest, GoAsFarAsTheSystemLetsThem) {
  set(100);
  const auto most = static_cast<std::int64_t>(before_.rlim_max);
  if (before_.rlim_max == RLIM_INFINITY) GTEST_SKIP() << "this system sets no limit";
  EXPECT_EQ(allow_open_files(most + 1), most);
}

}  // namespace
}  // namespace rubato
