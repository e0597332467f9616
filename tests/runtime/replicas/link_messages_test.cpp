#include "runtime/replicas/link_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rubato {
namespace {

using ::testing::HasSubstr;

GenerationRequest some_request() {
  GenerationRequest request;
  request.prompt = {5, 6, 7};
  request.max_tokens = 40;
  request.policy.policy = find_policy("interval");
  request.policy.refresh_every = 3;
  request.commit = {.rule = CommitRule::kFactor, .threshold = 0.9, .steps = 0, .factor = 1.5};
  request.sampling = {.temperature = 0.7, .top_p = 0.9, .top_k = 5, .seed = 77};
  request.suffix = {5, 6};
  request.rules = {.bias = {{7, -1.5f}}, .late = {2}, .min_tokens = 3};
  request.top_logprobs = 4;
  request.ignore_eos = true;
  request.trace = true;
  return request;
}

UpdateMessage some_update() {
  UpdateMessage message{9, {}};
  message.update.commits = {{3, 11}, {5, 12}};
  message.update.logprobs = {{-0.5, {{11, -0.5}, {4, -2}}}, {-0.25, {}}};
  message.update.stats = {
      .forward_passes = 4, .refreshes = 2, .rows_computed = 123456789012, .layers_refreshed = 7};
  message.update.trace = StepTrace{2, {0.5, 0.25}, {1, 2}, {{3, 11}, {5, 12}}};
  message.update.finished = true;
  return message;
}

UpdateMessage some_refusal() {
  UpdateMessage message{10, {}};
  message.update.error = Error{Code::kOverloaded, "the queue is full", "n"};
  return message;
}

StatusMessage some_status() {
  EngineStatus status{
      .ready = true,
      .running = 3,
      .waiting = 4,
      .cache_tokens_total = 1000,
      .cache_tokens_used = 700,
      .outstanding_tokens = 900,
      .times = {{{{.steps = 7, .nanoseconds = {1, 2, 3}}, {}, {.steps = 1, .nanoseconds = {}}}}}};
  status.counters.prompt_tokens = 5;
  status.counters.similarities.observe(0.97);
  status.collective_s = 0.5;
  status.heartbeat_age_s = 0.25;
  return {status, true};
}

std::vector<LinkMessage> one_of_each() {
  return {SubmitMessage{8, some_request()},
          CancelMessage{8},
          ShutDownMessage{false},
          PingMessage{},
          some_update(),
          some_refusal(),
          some_status()};
}

template <class Message>
Message round_trip(const Message& message) {
  auto decoded = decode_link_message(encode(message));
  EXPECT_TRUE(decoded.ok());
  return std::get<Message>(*decoded);
}

TEST(LinkMessages, ARequestArrivesAsItWasSubmitted) {
  const SubmitMessage found = round_trip(SubmitMessage{8, some_request()});
  EXPECT_EQ(found.id, 8U);
  EXPECT_EQ(static_cast<const DecodingRequest&>(found.request),
            static_cast<const DecodingRequest&>(some_request()));
  EXPECT_TRUE(found.request.trace);
}

TEST(LinkMessages, NewsArriveWhole) {
  const UpdateMessage found = round_trip(some_update()), sent = some_update();
  EXPECT_EQ(found.id, sent.id);
  EXPECT_EQ(found.update.commits, sent.update.commits);
  EXPECT_EQ(found.update.logprobs, sent.update.logprobs);
  EXPECT_EQ(found.update.stats, sent.update.stats);
  EXPECT_TRUE(found.update.finished);
  ASSERT_TRUE(found.update.trace.has_value());
  EXPECT_EQ(found.update.trace->boundary, sent.update.trace->boundary);
  EXPECT_EQ(found.update.trace->similarity, sent.update.trace->similarity);
  EXPECT_EQ(found.update.trace->tracked, sent.update.trace->tracked);
  EXPECT_EQ(found.update.trace->committed, sent.update.trace->committed);
  EXPECT_FALSE(found.update.error.has_value());
}

TEST(LinkMessages, AStepWithoutARefreshHasNoBoundary) {
  UpdateMessage message = some_update();
  message.update.trace->boundary = std::nullopt;
  EXPECT_EQ(round_trip(message).update.trace->boundary, std::nullopt);
}

TEST(LinkMessages, ARefusalKeepsItsCodeTextAndField) {
  EXPECT_EQ(round_trip(some_refusal()).update.error, some_refusal().update.error);
}

TEST(LinkMessages, AStatusKeepsEveryNumber) {
  EXPECT_EQ(round_trip(some_status()).status, some_status().status);
  EXPECT_TRUE(round_trip(some_status()).ended);
}

TEST(LinkMessages, ShortAndLongMessagesAreErrors) {
  for (const LinkMessage& message : one_of_each()) {
    std::vector<std::byte> bytes = encode(message);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(decode_link_message(std::span(bytes).first(size)).ok())
          << "kind " << message.index() << ", " << size << " bytes";
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(decode_link_message(bytes).ok()) << "kind " << message.index();
  }
}

TEST(LinkMessages, AnotherVersionAndAnUnknownKindAreErrorsThatSaySo) {
  std::vector<std::byte> bytes = encode(PingMessage{});
  bytes[4] = std::byte{99};
  EXPECT_THAT(decode_link_message(bytes).error().message, HasSubstr("kind 99"));
  bytes[0] = std::byte{1};
  EXPECT_THAT(decode_link_message(bytes).error().message, HasSubstr("magic"));
}

}  // namespace
}  // namespace rubato
