#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;

class StreamTest : public ServerTest {
 protected:
  /// The events of a stream's body, [DONE] as a string.
  static std::vector<json::value> events_of(const std::string& body) {
    std::vector<json::value> events;
    for (std::size_t begin = 0; begin < body.size();) {
      const std::size_t end = body.find("\n\n", begin);
      EXPECT_TRUE(body.substr(begin).starts_with("data: ")) << body.substr(begin);
      const std::string data = body.substr(begin + 6, end - begin - 6);
      events.push_back(data == "[DONE]" ? json::value("[DONE]") : json::parse(data));
      begin = end + 2;
    }
    return events;
  }

  static std::string text_of(const std::vector<json::value>& events) {
    std::string text;
    for (const json::value& event : events) {
      if (!event.is_object() || event.as_object().contains("error")) continue;
      for (const json::value& choice : event.at("choices").as_array())
        text += choice.at("text").as_string();
    }
    return text;
  }
};

TEST_F(StreamTest, SendsEachPieceOfTextOnceItIsCertain) {
  RawClient client(start());
  client.send(post(
      kCompletions,
      R"({"prompt": "a", "max_tokens": 8, "stream": true, "stream_options": {"include_usage": true}})"));
  const std::vector<TokenId> ids = encode("1 2 3 4");
  const int half = static_cast<int>(ids.size() / 2);
  engine_.commit(0, {ids.begin() + half, ids.end()}, half, false);
  engine_.commit(0, {ids.begin(), ids.begin() + half}, 0, false);
  engine_.commit(0, {eos_}, static_cast<int>(ids.size()), true);
  const Reply reply = client.read();
  EXPECT_EQ(reply[http::field::content_type], "text/event-stream; charset=utf-8");
  EXPECT_TRUE(reply.chunked());
  const auto events = events_of(reply.body());
  ASSERT_EQ(events.size(), 4u);  // text, end, usage, [DONE]
  EXPECT_EQ(events[0].at("choices").at(0).at("text"), "1 2 3 4");
  EXPECT_EQ(events[1].at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(events[2].at("usage").at("completion_tokens"), ids.size() + 1);
  EXPECT_EQ(events[3], "[DONE]");
  EXPECT_EQ(client.ask(get("/health")).result_int(), 200u);
}

TEST_F(StreamTest, IsSentToAnHttp10ClientAsItIsUpToTheEndOfTheConnection) {
  RawClient client(start());
  client.send(
      "POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: "
      "50\r\n\r\n"
      R"({"prompt": "a", "max_tokens": 4, "stream": true}  )");
  engine_.commit(0, encode("x"), 0, false);
  engine_.commit(0, {eos_}, 1, true);
  const Reply reply = client.read();
  EXPECT_FALSE(reply.chunked());
  EXPECT_EQ(text_of(events_of(reply.body())), "x");
  EXPECT_TRUE(client.closed());
}

TEST_F(StreamTest, EndsWithAnErrorWhenTheEngineFails) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 4, "stream": true, "n": 2})"));
  engine_.commit(0, encode("x"), 0, false);
  engine_.request(1);
  engine_.fail(1, {Code::kUnavailable, "the server is shutting down"});
  const auto events = events_of(client.read().body());
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].at("error").at("message"), "the server is shutting down");
  EXPECT_EQ(events[2], "[DONE]");
  engine_.wait_for_cancel(0);
}

TEST_F(StreamTest, InterleavesChoicesAndEndsEachOnce) {
  RawClient client(start());
  client.send(post(
      kChat,
      R"({"messages": [{"role": "user", "content": "a"}], "max_tokens": 4, "stream": true, "n": 2})"));
  engine_.request(1);
  engine_.commit(1, encode("x"), 0, false);
  engine_.commit(0, {encode("y")[0], eos_}, 0, true);
  engine_.commit(1, {eos_}, 1, true);
  int roles = 0, ends = 0;
  const auto events = events_of(client.read().body());
  for (std::size_t i = 0; i + 1 < events.size(); ++i) {
    const json::value& choice = events[i].at("choices").at(0);
    roles += choice.at("delta").as_object().contains("role");
    ends += choice.at("finish_reason") == "stop";
  }
  EXPECT_EQ(roles, 2);
  EXPECT_EQ(ends, 2);
}

TEST_F(StreamTest, AClientThatLeavesCancels) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 4, "stream": true, "n": 2})"));
  engine_.request(1);
  client.leave();
  engine_.wait_for_cancel(0);
  engine_.wait_for_cancel(1);
}

TEST_F(StreamTest, AClientThatLeavesBeforeAWholeAnswerCancels) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 4})"));
  engine_.request(0);
  EXPECT_FALSE(engine_.cancelled(0));
  client.leave();
  engine_.wait_for_cancel(0);
}

TEST_F(StreamTest, AClientThatLeavesWithAFurtherRequestUnderWayCancels) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 4})") + get("/health"));
  engine_.request(0);
  client.send(get("/version"));
  client.leave();
  engine_.wait_for_cancel(0);
}

}  // namespace
}  // namespace rubato::testing
