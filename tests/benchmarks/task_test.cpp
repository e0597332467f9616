#include "benchmarks/policies/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::filesystem::path kTasks = RUBATO_SOURCE_DIR "/benchmarks/policies/tasks";

class TaskTest : public ::testing::Test {
 protected:
  Result<Task> load(const std::string& lines) {
    std::ofstream(folder_.path() / "t.jsonl") << lines;
    return load_task(folder_.path(), "t");
  }

  testing::TemporaryFolder folder_;
};

TEST(EmbeddedTasks, HoldFourHundredQuestionsEachAndNoneTwice) {
  for (const char* name : {"word_problem", "chain", "code"}) {
    const auto task = load_task(kTasks, name);
    ASSERT_TRUE(task.ok()) << task.error().message;
    std::set<std::string> texts;
    for (const Question& question : task->questions) texts.insert(question.text);
    EXPECT_EQ(task->questions.size(), 400u) << name;
    EXPECT_EQ(texts.size(), 400u) << name;
    EXPECT_EQ(task->needs_python(), name == std::string("code"));
  }
}

TEST(EmbeddedTasks, ListsAreLongerThanTheCanvasesTheyAreAskedOf) {
  const auto task = load_task(kTasks, "savings");
  ASSERT_TRUE(task.ok()) << task.error().message;
  EXPECT_EQ(task->questions.size(), 100u);
  for (const Question& question : task->questions) {
    EXPECT_EQ(question.scoring, Scoring::kBegins);
    EXPECT_EQ(std::ranges::count(question.expected, '\n'), 129) << question.text;
  }
}

TEST_F(TaskTest, ReadsBothSortsOfQuestionsAndSkipsEmptyLines) {
  const auto task = load(
      "{\"question\": \"1 + 1?\", \"score\": \"number\", \"expected\": \"2\"}\n\n"
      "{\"question\": \"f?\", \"score\": \"python\", \"expected\": \"def f(): pass\","
      " \"entry\": \"f\", \"inputs\": [[1, 2]]}\n");
  ASSERT_TRUE(task.ok()) << task.error().message;
  EXPECT_EQ(task->name, "t");
  ASSERT_EQ(task->questions.size(), 2u);
  EXPECT_EQ(task->questions[0].expected, "2");
  EXPECT_EQ(task->questions[1].scoring, Scoring::kPython);
  EXPECT_EQ(task->questions[1].inputs, "[[1,2]]");
}

TEST_F(TaskTest, AFileIsReadByItsPathToo) {
  ASSERT_TRUE(load("{\"question\": \"?\", \"score\": \"number\", \"expected\": \"2\"}").ok());
  EXPECT_TRUE(load_task("/nowhere", (folder_.path() / "t.jsonl").string()).ok());
}

TEST_F(TaskTest, AMistakeIsNamedWithItsLine) {
  const std::string good = "{\"question\": \"?\", \"score\": \"number\", \"expected\": \"2\"}\n";
  const struct {
    const char *line, *named;
  } mistakes[] = {
      {"[]", "not a JSON object"},
      {"{\"score\": \"number\", \"expected\": \"2\"}", "\"question\""},
      {"{\"question\": \"?\", \"score\": \"number\", \"expected\": 2}", "\"expected\""},
      {"{\"question\": \"?\", \"score\": \"bleu\", \"expected\": \"2\"}", "bleu"},
      {"{\"question\": \"?\", \"score\": \"python\", \"expected\": \"2\"}", "\"entry\""},
  };
  for (const auto& mistake : mistakes) {
    const auto task = load(good + mistake.line);
    ASSERT_FALSE(task.ok()) << mistake.line;
    EXPECT_THAT(task.error().message, AllOf(HasSubstr("line 2"), HasSubstr(mistake.named)));
  }
}

TEST_F(TaskTest, AFileWithoutQuestionsIsRefused) {
  EXPECT_THAT(load("\n").error().message, HasSubstr("no questions"));
}

TEST(LoadTask, AnUnknownNameListsTheTasksThereAre) {
  const auto task = load_task(kTasks, "poems");
  ASSERT_FALSE(task.ok());
  EXPECT_THAT(task.error().message,
              AllOf(HasSubstr("poems"), HasSubstr("chain, code, savings, word_problem")));
}

}  // namespace
}  // namespace rubato
