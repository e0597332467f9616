#include "benchmarks/policies/scoring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rubato {
namespace {

const std::filesystem::path kScorer =
    RUBATO_SOURCE_DIR "/benchmarks/policies/tasks/score_python.py";

TEST(NumberAfterHashes, IsTheLastOne) {
  EXPECT_EQ(number_after_hashes("3 + 4 = 7\n#### 7"), 7);
  EXPECT_EQ(number_after_hashes("#### 7\n#### -12 shells"), -12);
  EXPECT_EQ(number_after_hashes("#### 7\n#### many"), 7);
  EXPECT_EQ(number_after_hashes("##### 5"), 5);
}

TEST(NumberAfterHashes, IsNothingWithoutHashesSpaceAndNumber) {
  for (const char* text : {"", "7", "####7", "#### ", "#### x", "#### 99999999999999999999"})
    EXPECT_EQ(number_after_hashes(text), std::nullopt) << text;
}

class ScoringTest : public ::testing::Test {
 protected:
  bool right(const Question& question, std::string_view answer) {
    const auto judged = is_right(question, answer, python_);
    EXPECT_TRUE(judged.ok()) << judged.error().message;
    return judged.ok() && *judged;
  }

  static Question code_question() {
    return {.text = "f?",
            .scoring = Scoring::kPython,
            .expected = "def f(a, b):\n    return (a + b) * 3",
            .entry = "f",
            .inputs = "[[0, 0], [1, 2], [-4, 5]]"};
  }

  PythonScorer python_{"python3", kScorer};
};

TEST_F(ScoringTest, ANumberIsComparedAsOne) {
  const Question question{.text = "?", .expected = "23", .entry = {}, .inputs = {}};
  EXPECT_TRUE(right(question, "20 + 3 = 23\n#### 23"));
  EXPECT_TRUE(right(question, "#### 023"));
  EXPECT_FALSE(right(question, "#### 24"));
  EXPECT_FALSE(right(question, "23"));
}

TEST_F(ScoringTest, AListIsRightAsFarAsItsWholeLinesGo) {
  const Question question{.text = "?",
                          .scoring = Scoring::kBegins,
                          .expected = "1: 7\n2: 14\n3: 21\n4: 28",
                          .entry = {},
                          .inputs = {}};
  EXPECT_TRUE(right(question, "1: 7\n2: 14\n3: 2"));
  EXPECT_TRUE(right(question, "1: 7\n2: 14\n9"));  // cut off: not looked at
  EXPECT_TRUE(right(question, question.expected));
  EXPECT_FALSE(right(question, "1: 7\n2: 15\n3: 21\n"));
  EXPECT_FALSE(right(question, "2: 14\n3: 21\n"));
  EXPECT_FALSE(right(question, "1: 7\n2: 14\n3: 21\n4: 28\n5: 35\n"));
  EXPECT_FALSE(right(question, "1: 7"));
  EXPECT_FALSE(right(question, ""));
}

TEST_F(ScoringTest, CodeIsRightIfItDoesTheSame) {
  const Question question = code_question();
  EXPECT_TRUE(right(question, question.expected));
  EXPECT_TRUE(right(question, "def f(x, y):\n    return 3 * x + 3 * y"));
  EXPECT_TRUE(right(question, "def f(x, y):\n    return 3 * (y + x)\n```\nThis adds."));
  EXPECT_FALSE(right(question, "def f(a, b):\n    return (a + b) * 4"));
}

TEST_F(ScoringTest, CodeThatDoesNotRunIsWrongAndTheNextIsStillJudged) {
  const Question question = code_question();
  for (const char* code : {"",
                           "def f(a, b)",
                           "def g(a, b):\n    return (a + b) * 3",
                           "import os\ndef f(a, b):\n    return (a + b) * 3",
                           "def f(a, b):\n    return f(a, b)",
                           "def f(a, b):\n    return ('x' * 99999999999)",
                           "\xff\xfe"})
    EXPECT_FALSE(right(question, code)) << code;
  EXPECT_TRUE(right(question, "def f(x, y):\n    return 3 * x + 3 * y"));
}

TEST_F(ScoringTest, CodeThatNeverEndsIsWrong) {
  EXPECT_FALSE(right(code_question(), "def f(a, b):\n    while True:\n        a = b"));
}

TEST(PythonScorer, AMissingInterpreterIsSaid) {
  PythonScorer scorer("no-such-python", kScorer);
  const Status status = scorer.available();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kUnavailable);
  EXPECT_THAT(status.error().message, ::testing::HasSubstr("no-such-python"));
}

TEST(PythonScorer, AMissingScriptIsSaid) {
  PythonScorer scorer("python3", "/no/such/script.py");
  EXPECT_FALSE(scorer.available().ok());
}

}  // namespace
}  // namespace rubato
