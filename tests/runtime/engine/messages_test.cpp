#include "runtime/engine/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "runtime/base/byte_codec.h"
#include "tests/runtime/engine/requests.h"

namespace rubato::testing {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;

template <class Message>
Bytes encoded(const Message& message) {
  Bytes bytes;
  encode(message, bytes);
  return bytes;
}

SequenceSpec random_spec(std::mt19937_64& random) {
  SequenceSpec spec = spec_of(random(), request_of(0, 1));
  spec.slot_begin = static_cast<std::int64_t>(random() >> 2);
  for (auto left = random() % 9; left > 0; --left)
    spec.prompt.push_back(static_cast<TokenId>(random()));
  spec.max_tokens = static_cast<int>(1 + random() % 1000);
  spec.policy = {.policy = policies()[random() % policies().size()],
                 .window = static_cast<int>(1 + random() % 100),
                 .gamma = 2 * static_cast<double>(random() >> 11) * 0x1p-53,
                 .drift = random() % 2 == 0 ? DriftMeasure::kHeads : DriftMeasure::kRows,
                 .track = static_cast<int>(1 + random() % 9),
                 .refresh_every = static_cast<int>(1 + random() % 9),
                 .block_length = static_cast<int>(1 + random() % 99),
                 .horizon = static_cast<int>(1 + random() % 99)};
  spec.commit = {.rule = static_cast<CommitRule>(random() % 3),
                 .threshold = 0.5,
                 .steps = static_cast<int>(random() % 99),
                 .factor = 1.5};
  spec.sampling = {
      .temperature = 0.7, .top_p = 0.9, .top_k = static_cast<int>(random() % 99), .seed = random()};
  spec.ignore_eos = random() % 2 == 0;
  return spec;
}

StepPlan random_plan(std::mt19937_64& random) {
  StepPlan plan;
  for (auto left = random() % 4; left > 0; --left) {
    SequenceUpdate& update = plan.updates.emplace_back();
    update.id = random();
    for (auto more = random() % 5; more > 0; --more)
      update.commits.push_back({static_cast<Position>(random()), static_cast<TokenId>(random())});
    for (auto more = random() % 5; more > 0; --more)
      update.tracked.push_back(static_cast<Position>(random()));
  }
  for (auto left = random() % 3; left > 0; --left) plan.releases.push_back(random());
  for (auto left = random() % 3; left > 0; --left) plan.admissions.push_back(random_spec(random));
  for (auto left = random() % 5; left > 0; --left) plan.participants.push_back(random());
  plan.digest = random();
  return plan;
}

TEST(StepPlanMessage, RoundTrips) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 2000; ++round) {
    const StepPlan plan = random_plan(random);
    const Result<StepPlan> decoded = decode_step_plan(encoded(plan));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(*decoded, plan);
  }
}

TEST(StepPlanMessage, RoundTripsEveryPolicy) {
  for (const Policy* policy : policies()) {
    StepPlan plan;
    plan.admissions = {spec_of(1, request_of(3, 4, policy->name.data()))};
    EXPECT_EQ(decode_step_plan(encoded(plan)).value(), plan) << policy->name;
  }
}

TEST(StepPlanMessage, ASpecWithoutListsHasTheLengthThatADecoderCountsWith) {
  StepPlan plan;
  const std::size_t before = encoded(plan).size();
  plan.admissions.push_back(spec_of(1, request_of(0, 1)));
  EXPECT_EQ(encoded(plan).size() - before, 124U);  // also in docs/design/messages.md
  plan.admissions.assign(3, plan.admissions.front());
  EXPECT_EQ(decode_step_plan(encoded(plan)).value(), plan);
}

TEST(StepPlanMessage, IsAppendedToWhatIsThere) {
  Bytes bytes(3);
  StepPlan plan;
  plan.participants = {4, 5};
  encode(plan, bytes);
  EXPECT_EQ(decode_step_plan(std::span(bytes).subspan(3)).value(), plan);
}

TEST(RefreshDecisionMessage, RoundTrips) {
  for (const std::vector<std::int32_t>& boundaries :
       {std::vector<std::int32_t>{}, {0}, {3, 0, std::numeric_limits<std::int32_t>::max(), -1}}) {
    const RefreshDecision decision{boundaries};
    EXPECT_EQ(decode_refresh_decision(encoded(decision)).value(), decision);
  }
}

/// A plan with something in every part.
StepPlan full_plan() {
  StepPlan plan;
  plan.updates = {{.id = 1, .commits = {{3, 4}, {5, 6}}, .tracked = {0, 7}}};
  plan.releases = {2};
  plan.admissions = {spec_of(3, request_of(4, 8))};
  plan.participants = {1, 3};
  plan.digest = 0x1234;
  return plan;
}

template <class Decode>
void expect_only_whole(const Bytes& bytes, Decode decode) {
  ASSERT_TRUE(decode(bytes).ok());
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(decode(std::span(bytes).first(length)).ok()) << length << " bytes";
  for (const int more : {0, 1, 255}) {
    Bytes longer = bytes;
    longer.push_back(static_cast<std::byte>(more));
    EXPECT_FALSE(decode(longer).ok());
  }
}

TEST(Messages, CutOffAnywhereOrTooLongAreErrors) {
  expect_only_whole(encoded(full_plan()), decode_step_plan);
  expect_only_whole(encoded(StepPlan()), decode_step_plan);
  expect_only_whole(encoded(RefreshDecision{{1, 2, 3}}), decode_refresh_decision);
}

template <class Decode>
void expect_no_bit_to_matter_not(Bytes bytes, Decode decode) {
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1 << bit % 8);
    bytes[bit / 8] ^= mask;
    EXPECT_FALSE(decode(bytes).ok()) << "bit " << bit;
    bytes[bit / 8] ^= mask;
  }
}

TEST(Messages, WithAnyBitFlippedAreErrors) {
  expect_no_bit_to_matter_not(encoded(full_plan()), decode_step_plan);
  expect_no_bit_to_matter_not(encoded(RefreshDecision{{1, 2, 3}}), decode_refresh_decision);
}

/// `bytes` without their checksum, changed by `change`, with the checksum of that.
template <class Change>
Bytes forged(Bytes bytes, Change change) {
  bytes.resize(bytes.size() - 8);
  change(bytes);
  Bytes sealed;
  ByteWriter writer(sealed);
  for (const std::byte byte : bytes) writer.put(byte);
  writer.seal();
  return sealed;
}

TEST(Messages, OfAnyBytesUnderARightChecksumEndInAnAnswer) {
  std::mt19937_64 random(6);
  const Bytes whole = encoded(full_plan());
  for (int round = 0; round < 20'000; ++round) {
    const Bytes bytes = forged(whole, [&](Bytes& changed) {
      for (auto left = 1 + random() % 4; left > 0; --left)
        changed[random() % changed.size()] = static_cast<std::byte>(random());
      if (random() % 4 == 0) changed.resize(random() % changed.size());
    });
    const Result<StepPlan> decoded = decode_step_plan(bytes);
    EXPECT_TRUE(!decoded.ok() || encoded(*decoded) == bytes);
    (void)decode_refresh_decision(bytes);
  }
}

TEST(Messages, ThatHoldWhatNoRequestCanAreErrors) {
  const auto refused = [](auto change) {
    StepPlan plan = full_plan();
    change(plan.admissions[0]);
    return !decode_step_plan(encoded(plan)).ok();
  };
  EXPECT_FALSE(refused([](SequenceSpec&) {}));
  EXPECT_TRUE(refused([](SequenceSpec& spec) { spec.max_tokens = 0; }));
  EXPECT_TRUE(
      refused([](SequenceSpec& spec) { spec.max_tokens = std::numeric_limits<int>::max(); }));
  EXPECT_TRUE(refused([](SequenceSpec& spec) { spec.slot_begin = -1; }));
  EXPECT_TRUE(refused([](SequenceSpec& spec) { spec.policy.window = 0; }));
  EXPECT_TRUE(
      refused([](SequenceSpec& spec) { spec.policy.drift = static_cast<DriftMeasure>(2); }));
  EXPECT_TRUE(refused([](SequenceSpec& spec) { spec.commit.rule = static_cast<CommitRule>(3); }));
}

TEST(Messages, AreOfTheKindThatIsDue) {
  const auto due = [](int number) {
    return message_kind(static_cast<std::uint8_t>(number),
                        {MessageKind::kStepPlan, MessageKind::kExit});
  };
  EXPECT_EQ(due(1).value(), MessageKind::kStepPlan);
  EXPECT_EQ(due(3).value(), MessageKind::kExit);
  for (const int number : {0, 2, 4, 255}) {
    ASSERT_FALSE(due(number).ok());
    EXPECT_THAT(due(number).error().message, HasSubstr("kind " + std::to_string(number)));
  }
}

}  // namespace
}  // namespace rubato::testing
