#include "parallel/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rubato {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

Statement states(std::string gamma, std::string folder = "/models") {
  return {"", {{"gamma", std::move(gamma)}, {"folder", std::move(folder), /*must_agree=*/false}}};
}

TEST(Agreement, HoldsWhereOnlyFactsThatMayDifferDo) {
  EXPECT_TRUE(compare("the model", std::vector{states("0.9")}).ok());
  EXPECT_TRUE(compare("the model", std::vector{states("0.9"), states("0.9", "/mnt")}).ok());
}

TEST(Agreement, NamesEachDifferenceWithItsValuesAndRanks) {
  const Status status = compare("the configuration",
                                std::vector{states("0.9"),
                                            states("0.5"),
                                            states("0.9", "/mnt"),
                                            states("0.9"),
                                            states("0.9"),
                                            states("0.7")});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kInvalidArgument);
  EXPECT_EQ(status.error().message,
            "ranks differ in the configuration: gamma: 0.9 (ranks 0, 2-4), 0.5 (rank 1), 0.7 (rank "
            "5); folder: /models (ranks 0, 1, 3-5), /mnt (rank 2)");
}

TEST(Agreement, CountsAFactThatOneRankLacks) {
  const Statement none{"", {}};
  const Status status = compare("the model", std::vector{none, states("0.9")});
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("gamma: nothing (rank 0), 0.9 (rank 1)"));
}

TEST(Agreement, ListsTheFirstDifferencesAndCountsTheRest) {
  std::vector<Statement> by_rank(2);
  for (int rank = 0; rank < 2; ++rank) {
    for (int i = 0; i < 20; ++i)
      by_rank[rank].facts.push_back({"fact" + std::to_string(i), std::to_string(rank)});
  }
  EXPECT_THAT(compare("all", by_rank).error().message,
              EndsWith("fact7: 0 (rank 0), 1 (rank 1); and 12 more"));
}

TEST(Agreement, FailsWithTheTextAndTheRanksOfAFailureBeforeItComparesFacts) {
  const Statement failed{"model-3 is truncated", {}};
  const Status some = compare("the model", std::vector{states("0.9"), failed, failed});
  ASSERT_FALSE(some.ok());
  EXPECT_EQ(some.error().code, Code::kUnavailable);
  EXPECT_EQ(some.error().message, "ranks 1, 2: model-3 is truncated");
  // What failed everywhere alike is no matter of ranks.
  EXPECT_EQ(compare("the model", std::vector{failed, failed}).error().message,
            "model-3 is truncated");
}

TEST(Agreement, StatementsCrossTheWireWhole) {
  const Statement statement{"why", {{"a", std::string("b\0c", 3)}, {"", "", false}}};
  const auto decoded = decode_statement(encode(statement));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, statement);
}

TEST(Agreement, LongTextsAreCut) {
  const auto decoded = decode_statement(encode({std::string(10'000, 'x'), {}}));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->failure, std::string(2000, 'x'));
}

TEST(Agreement, ABrokenStatementIsAnErrorAndNoCrash) {
  const std::string whole = encode(states("0.9"));
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(decode_statement(whole.substr(0, length)).ok()) << length;
  EXPECT_FALSE(decode_statement(whole + "x").ok());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bent = whole;
    bent[at] = '\xff';
    (void)decode_statement(bent);  // any answer, but one
  }
}

}  // namespace
}  // namespace rubato
