#include "benchmarks/policies/contender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "cache/policy.h"

namespace rubato {
namespace {

using ::testing::HasSubstr;

TEST(Contender, IsAPolicyWithParametersOfARequest) {
  const auto contender = parse_contender("elastic:gamma=0.7:window=32:drift=rows:threshold=null");
  ASSERT_TRUE(contender.ok()) << contender.error().message;
  EXPECT_EQ(contender->name, "elastic:gamma=0.7:window=32:drift=rows:threshold=null");
  EXPECT_EQ(boost::json::serialize(contender->diffusion),
            R"({"policy":"elastic","gamma":7E-1,"window":32,"drift":"rows","threshold":null})");
}

TEST(Contender, TheDefaultOnesAreUnderstood) {
  for (const std::string& text : default_contenders()) EXPECT_TRUE(parse_contender(text).ok());
}

TEST(Contender, TheDefaultOnesAreLladasSamplerAndEveryPolicy) {
  const std::vector<std::string> names = default_contenders();
  EXPECT_EQ(names.front(), "none:threshold=null");
  EXPECT_EQ(names.size(), 1 + policies().size());
}

std::vector<std::string> names_of(std::string_view text) {
  std::vector<std::string> names;
  const auto sweep = parse_sweep(text);
  EXPECT_TRUE(sweep.ok()) << sweep.error().message;
  if (!sweep.ok()) return names;
  for (const Contender& contender : *sweep) names.push_back(contender.name);
  return names;
}

TEST(Sweep, OfOneIsThatContender) {
  EXPECT_EQ(parse_sweep("elastic:gamma=0.7")->front(), *parse_contender("elastic:gamma=0.7"));
  EXPECT_THAT(names_of("none"), ::testing::ElementsAre("none"));
}

TEST(Sweep, MakesOneContenderOfEachCombination) {
  EXPECT_THAT(names_of("elastic:gamma=0.9/0.99:drift=rows:window=8/16"),
              ::testing::ElementsAre("elastic:gamma=0.9:drift=rows:window=8",
                                     "elastic:gamma=0.9:drift=rows:window=16",
                                     "elastic:gamma=0.99:drift=rows:window=8",
                                     "elastic:gamma=0.99:drift=rows:window=16"));
  EXPECT_THAT(names_of("none/dual:threshold=0.8"),
              ::testing::ElementsAre("none:threshold=0.8", "dual:threshold=0.8"));
}

TEST(Sweep, OfAllIsEveryPolicy) {
  EXPECT_EQ(names_of("all").size(), policies().size());
  const std::vector<std::string> names = names_of("all:threshold=0.5/0.9");
  ASSERT_EQ(names.size(), 2 * policies().size());
  EXPECT_EQ(names[1], "none:threshold=0.9");
  EXPECT_FALSE(parse_sweep("alle").ok());
}

TEST(Sweep, AValueThatIsNotThereIsNamed) {
  for (const char* text :
       {"elastic:gamma=0.9//0.99", "elastic:gamma=/0.9", "elastic:gamma=0.9/", "elastic/"})
    EXPECT_FALSE(parse_sweep(text).ok()) << text;
}

TEST(Contender, AnUnknownPolicyListsThoseThereAre) {
  const auto contender = parse_contender("elastik:gamma=0.7");
  ASSERT_FALSE(contender.ok());
  EXPECT_THAT(contender.error().message, HasSubstr("elastik"));
  EXPECT_THAT(contender.error().message,
              HasSubstr("none, prefix, dual, elastic, interval, dkv, flash, horizon"));
}

TEST(Contender, APartThatIsNoParameterIsNamed) {
  for (const char* part : {"gamma", "gamma=", "=0.7"}) {
    const auto contender = parse_contender(std::string("elastic:") + part);
    ASSERT_FALSE(contender.ok()) << part;
    EXPECT_THAT(contender.error().message, HasSubstr(part));
  }
}

TEST(CommitRule, IsDescribedInWords) {
  GenerationRequest request;
  request.max_tokens = 512;
  request.commit = {.rule = CommitRule::kThreshold, .threshold = 0.9};
  EXPECT_EQ(describe_commit_rule(request), "confidence >= 0.9");
  request.commit = {.rule = CommitRule::kSchedule, .steps = 512};
  EXPECT_EQ(describe_commit_rule(request), "1 a step");
  request.commit.steps = 128;
  EXPECT_EQ(describe_commit_rule(request), "4 a step");
  request.commit.steps = 96;
  EXPECT_EQ(describe_commit_rule(request), "512 in 96 steps");
  request.commit = {.rule = CommitRule::kFactor, .factor = 1.5};
  EXPECT_EQ(describe_commit_rule(request), "factor 1.5");
}

}  // namespace
}  // namespace rubato
