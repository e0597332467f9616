#include "benchmarks/policies/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace rubato {
namespace {

const std::filesystem::path kModel = RUBATO_SOURCE_DIR "/models/llada-tiny";
const std::filesystem::path kScript =
    RUBATO_SOURCE_DIR "/benchmarks/policies/tasks/score_python.py";

/// Answers every request alike, at once: the text, EOS, and one token behind it, in one step each.
class ParrotEngine final : public GenerationClient {
 public:
  ParrotEngine(const Tokenizer& tokenizer, const std::string& text, TokenId eos)
      : ids_(tokenizer.encode(text)) {
    ids_.push_back(eos);
    ids_.push_back(eos);
  }

  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) override {
    requests.push_back(request);
    if (refuse) return Error{Code::kOverloaded, "full"};
    GenerationUpdate update;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      update.commits = {{static_cast<Position>(request.prompt.size() + i), ids_[i]}};
      ++update.stats.forward_passes;
      update.stats.rows_computed += 10;
      update.stats.refreshes = 1;
      update.stats.forward_passes += hesitate && i == 0 ? ++hesitations : 0;
      update.trace = StepTrace{.boundary = i == 0 ? std::optional(0) : std::optional(5),
                               .similarity = {},
                               .tracked = {},
                               .committed = update.commits};
      update.finished = i + 1 == ids_.size();
      sink(update);
    }
    return GenerationHandle();
  }

  EngineStatus status() const override { return {}; }

  std::vector<GenerationRequest> requests;
  bool refuse = false;
  bool hesitate = false;  ///< takes longer each time

 private:
  std::vector<TokenId> ids_;
  int hesitations = 0;
};

class CompareTest : public ::testing::Test {
 protected:
  CompareTest()
      : tokenizer_(Tokenizer::load(kModel / "tokenizer.json").value()),
        chat_(ChatTemplate::load(kModel, tokenizer_).value()) {
    model_.id = "tiny";
    model_.max_context = 1024;
    model_.vocab_size = 576;
    model_.stop_ids = {*tokenizer_.token_to_id("<|endoftext|>")};
    defaults_.policy.policy = find_policy("elastic");
  }

  Result<PolicyComparison> compare(ParrotEngine& engine, const std::vector<std::string>& names) {
    std::vector<Contender> contenders;
    for (const std::string& name : names) contenders.push_back(parse_contender(name).value());
    return compare_policies(
        tasks_, contenders, options_, context_, engine, python_, [this](const auto& progress) {
          progress_.push_back(progress);
        });
  }

  ParrotEngine engine_saying(const std::string& text) {
    return ParrotEngine(tokenizer_, text, model_.stop_ids[0]);
  }

  Tokenizer tokenizer_;
  ChatTemplate chat_;
  ServedModel model_;
  GenerationDefaults defaults_;
  ApiContext context_{model_, tokenizer_, &chat_, defaults_};
  PythonScorer python_{"python3", kScript};
  std::vector<Task> tasks_ = {{"sums",
                               {{"3 + 4?", Scoring::kNumber, "7", "", ""},
                                {"4 + 4?", Scoring::kNumber, "8", "", ""},
                                {"5 + 2?", Scoring::kNumber, "7", "", ""}}}};
  ComparisonOptions options_{.count = 100, .lengths = {64}, .concurrency = 2};
  std::vector<ComparisonProgress> progress_;
};

TEST_F(CompareTest, CountsTheSameForEveryContender) {
  ParrotEngine engine = engine_saying("#### 7");
  const auto tokens = static_cast<int>(tokenizer_.encode("#### 7").size());
  const auto compared = compare(engine, {"none:threshold=null", "elastic"});
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  ASSERT_EQ(compared->measurements.size(), 2u);
  for (const Measurement& m : compared->measurements) {
    EXPECT_EQ(m.questions, 3);
    EXPECT_EQ(m.right, 2);
    EXPECT_EQ(m.tokens, 3 * (tokens + 1)) << "up to and including the stop";
    EXPECT_EQ(m.committed, 3 * (tokens + 2));
    EXPECT_EQ(m.cost.forward_passes, 3 * (tokens + 2));
    EXPECT_EQ(m.cost.rows_computed, 30 * (tokens + 2));
    EXPECT_GT(m.typical_seconds(), 0);
  }
  EXPECT_EQ(progress_.back().done, 6);
  EXPECT_EQ(progress_.back().total, 6);
}

TEST_F(CompareTest, AsksWhatAClientWouldAsk) {
  ParrotEngine engine = engine_saying("#### 7");
  ASSERT_TRUE(compare(engine, {"none:threshold=null", "elastic:gamma=0.5"}).ok());
  ASSERT_EQ(engine.requests.size(), 7u) << "one to warm up, then three each";
  EXPECT_EQ(engine.requests[0].policy.policy->name, "none") << "as whoever is timed first";
  const std::vector<ChatMessage> question = {{"user", "3 + 4?"}};
  EXPECT_EQ(engine.requests[1].prompt, chat_.encode(tokenizer_, question));
  EXPECT_EQ(engine.requests[1].max_tokens, 64);
  EXPECT_EQ(engine.requests[1].policy.policy->name, "none");
  EXPECT_EQ(engine.requests[1].commit,
            (CommitParams{.rule = CommitRule::kSchedule, .threshold = 0.9, .steps = 64}));
  EXPECT_EQ(engine.requests[4].policy.gamma, 0.5);
}

TEST_F(CompareTest, AsksNoMoreThanCount) {
  options_.count = 2;
  ParrotEngine engine = engine_saying("#### 7");
  EXPECT_EQ(compare(engine, {"elastic"})->measurements[0].questions, 2);
}

TEST_F(CompareTest, KeepsTheStepsOfTheFirstQuestionAndCountsBoundariesWhereSomethingWasRefreshed) {
  ParrotEngine engine = engine_saying("#### 7");
  const auto compared = compare(engine, {"elastic"});
  ASSERT_TRUE(compared.ok());
  const Measurement& m = compared->measurements[0];
  EXPECT_EQ(static_cast<int>(m.trace.size()), m.cost.forward_passes / 3);
  EXPECT_EQ(m.boundaries, (std::map<int, std::int64_t>{{0, 3}}));
  std::int64_t prompts = 0;
  for (std::size_t i = 1; i < engine.requests.size(); ++i)
    prompts += std::ssize(engine.requests[i].prompt);
  EXPECT_EQ(m.canvas_positions, prompts + 3 * 64);
}

TEST_F(CompareTest, GoesThroughTheLengthsInOrderAndSkipsThoseTheContextHasNoRoomFor) {
  options_.lengths = {64, 32, 2000};
  ParrotEngine engine = engine_saying("#### 7");
  const auto compared = compare(engine, {"none", "elastic"});
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  ASSERT_EQ(compared->measurements.size(), 4u);
  EXPECT_EQ(compared->measurements[0].length(), 64);
  EXPECT_EQ(compared->measurements[3].length(), 32);
  ASSERT_EQ(compared->skipped.size(), 1u);
  EXPECT_EQ(compared->skipped[0].length, 2000);
  EXPECT_EQ(progress_.back().done, progress_.back().total);
}

TEST_F(CompareTest, RepetitionsAreTimedAndNotCounted) {
  options_.repeat = 3;
  ParrotEngine engine = engine_saying("#### 7");
  const auto compared = compare(engine, {"elastic"});
  ASSERT_TRUE(compared.ok());
  const Measurement& m = compared->measurements[0];
  EXPECT_EQ(engine.requests.size(), 1u + 3u * 3u);
  EXPECT_EQ(m.questions, 3);
  EXPECT_EQ(m.seconds.size(), 3u);
  EXPECT_TRUE(m.repeats_alike);
  EXPECT_EQ(progress_.back().done, 9);
}

TEST_F(CompareTest, RepetitionsThatTakeOtherStepsAreTold) {
  options_.repeat = 2;
  ParrotEngine engine = engine_saying("#### 7");
  engine.hesitate = true;
  EXPECT_FALSE(compare(engine, {"elastic"})->measurements[0].repeats_alike);
}

TEST_F(CompareTest, SkipsCodeWithoutPythonAndSaysSo) {
  tasks_.push_back({"code", {{"f?", Scoring::kPython, "def f(): pass", "f", "[[]]"}}});
  PythonScorer none("no-such-python", kScript);
  ParrotEngine engine = engine_saying("#### 7");
  const auto compared = compare_policies(tasks_,
                                         {parse_contender("elastic").value()},
                                         options_,
                                         context_,
                                         engine,
                                         none,
                                         [](const auto&) {});
  ASSERT_TRUE(compared.ok());
  EXPECT_EQ(compared->measurements.size(), 1u);
  ASSERT_EQ(compared->skipped.size(), 1u);
  EXPECT_EQ(compared->skipped[0].task, "code");
  EXPECT_THAT(compared->skipped[0].reason, ::testing::HasSubstr("no-such-python"));
}

TEST_F(CompareTest, AParameterOutOfRangeIsNamedWithItsContender) {
  ParrotEngine engine = engine_saying("");
  for (const char* wrong : {"elastic:gama=1", "elastic:gamma=9", "prefix:block_length=48"}) {
    const auto compared = compare(engine, {"none", wrong});
    ASSERT_FALSE(compared.ok()) << wrong;
    EXPECT_THAT(compared.error().message, ::testing::HasSubstr(wrong));
  }
}

TEST_F(CompareTest, ARefusedGenerationEndsTheComparison) {
  ParrotEngine engine = engine_saying("");
  engine.refuse = true;
  EXPECT_EQ(compare(engine, {"elastic"}).error().code, Code::kOverloaded);
}

}  // namespace
}  // namespace rubato
