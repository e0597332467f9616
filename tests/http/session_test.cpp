#include "http/session.h"

#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using ::testing::HasSubstr;

using SessionTest = ServerTest;

TEST_F(SessionTest, AnswersACompletion) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "1 + 1 =", "max_tokens": 8})"));
  EXPECT_EQ(engine_.request(0).prompt, encode("1 + 1 ="));
  const std::vector<TokenId> ids = encode(" 2");
  engine_.commit(0, ids, 0, false);
  engine_.commit(0, {eos_}, static_cast<int>(ids.size()), true);
  const Reply reply = client.read();
  EXPECT_EQ(reply.result_int(), 200u);
  EXPECT_EQ(reply[http::field::content_type], "application/json");
  const json::object body = body_of(reply);
  EXPECT_EQ(body.at("choices").at(0).at("text"), " 2");
  EXPECT_EQ(body.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(body.at("usage").at("completion_tokens"), ids.size() + 1);
}

TEST_F(SessionTest, AnswersAChat) {
  RawClient client(start());
  client.send(post(kChat, R"({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4})"));
  engine_.commit(0, {encode("yes")[0], eos_}, 0, true);
  const json::object body = body_of(client.read());
  EXPECT_EQ(body.at("object"), "chat.completion");
  EXPECT_EQ(body.at("choices").at(0).at("message").at("role"), "assistant");
}

TEST_F(SessionTest, AnswersEveryRouteOnOneConnection) {
  RawClient client(start());
  EXPECT_EQ(client.ask(get("/health")).body(), R"({"status":"ready"})");
  EXPECT_EQ(client.ask(get("/health/live")).body(), R"({"status":"live"})");
  EXPECT_EQ(client.ask(get("/version?x=1")).body(), R"({"version":"1.2.3"})");
  EXPECT_EQ(body_of(client.ask(get("/v1/models"))).at("data").at(0).at("id"), "tiny");
  EXPECT_EQ(body_of(client.ask(get("/v1/models/tiny"))).at("id"), "tiny");
}

TEST_F(SessionTest, AnswersPipelinedRequestsInOrder) {
  RawClient client(start());
  client.send(get("/health") + post(kCompletions, R"({"prompt": "a", "max_tokens": 1})") +
              get("/version") + get("/health/live"));
  EXPECT_EQ(client.read().body(), R"({"status":"ready"})");
  engine_.commit(0, encode("b"), 0, true);
  EXPECT_EQ(body_of(client.read()).at("choices").at(0).at("text"), "b");
  EXPECT_EQ(client.read().body(), R"({"version":"1.2.3"})");
  EXPECT_EQ(client.read().body(), R"({"status":"live"})");
}

TEST_F(SessionTest, TakesARequestByteByByte) {
  RawClient client(start());
  for (const char byte : get("/version")) client.send({&byte, 1});
  EXPECT_EQ(client.read().body(), R"({"version":"1.2.3"})");
}

TEST_F(SessionTest, TakesAChunkedBody) {
  RawClient client(start());
  client.send(
      "POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n"
      "4\r\n{\"pr\r\n"
      "1a;name=value\r\nompt\": [1], \"max_tokens\":1\r\n"
      "1\r\n}\r\n0\r\n\r\n");
  engine_.commit(0, encode("c"), 0, true);
  EXPECT_EQ(client.read().result_int(), 200u);
  EXPECT_EQ(engine_.request(0).prompt, std::vector<TokenId>{1});
}

TEST_F(SessionTest, ClosesWhenTheClientAsksForIt) {
  RawClient client(start());
  const Reply reply = client.ask(get("/health", "Connection: close\r\n"));
  EXPECT_FALSE(reply.keep_alive());
  EXPECT_TRUE(client.closed());
}

TEST_F(SessionTest, AnswersHttp10AndCloses) {
  RawClient client(start());
  const Reply reply = client.ask("GET /health HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(reply.keep_alive());
  EXPECT_TRUE(client.closed());
}

TEST_F(SessionTest, KeepsAnHttp10ConnectionThatAsksForIt) {
  RawClient client(start());
  const Reply reply = client.ask("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(reply[http::field::connection], "keep-alive");  // else such a client takes it as closed
  EXPECT_EQ(client.ask(get("/version")).result_int(), 200u);
}

TEST_F(SessionTest, AnswersHeadWithoutABody) {
  RawClient client(start());
  client.send("HEAD /version HTTP/1.1\r\nHost: test\r\n\r\n");
  const Reply reply = client.read(/*to_head=*/true);
  EXPECT_EQ(reply.result_int(), 200u);
  EXPECT_EQ(reply[http::field::content_length], "19");
  client.send("HEAD /v1/completions HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_EQ(client.read(/*to_head=*/true).result_int(), 405u);
  EXPECT_EQ(client.ask(get("/version")).body(), R"({"version":"1.2.3"})");
}

TEST_F(SessionTest, EchoesARequestIdAndMakesOneWhereThereIsNone) {
  RawClient client(start());
  EXPECT_EQ(client.ask(get("/health", "X-Request-Id: mine-7\r\n"))["X-Request-Id"], "mine-7");
  const std::string made(client.ask(get("/health"))["X-Request-Id"]);
  EXPECT_TRUE(made.starts_with("req-")) << made;
  EXPECT_NE(client.ask(get("/health", "X-Request-Id: with blank\r\n"))["X-Request-Id"],
            "with blank");
}

TEST_F(SessionTest, IsNotReadyWhileTheEngineIsNot) {
  engine_.ready = false;
  RawClient client(start());
  const Reply reply = client.ask(get("/health"));
  EXPECT_EQ(reply.result_int(), 503u);
  EXPECT_EQ(reply[http::field::retry_after], "1");
  EXPECT_EQ(body_of(reply).at("error").at("type"), "server_error");
  EXPECT_EQ(client.ask(get("/health/live")).result_int(), 200u);
}

TEST_F(SessionTest, SaysThatTheModelIsLoadingUntilItIsThere) {
  RawClient client(start_loading());
  const std::string requests[] = {get("/health"),
                                  get("/version"),
                                  get("/load"),
                                  get("/v1/models"),
                                  get("/v1/models/tiny"),
                                  get("/"),
                                  get("/nothing"),
                                  post("/tokenize", R"({"prompt": "a"})"),
                                  post(kCompletions, R"({"prompt": "a", "stream": true})")};
  for (const std::string& request : requests) {
    const Reply reply = client.ask(request);
    EXPECT_EQ(reply.result_int(), 503u) << request;
    EXPECT_EQ(reply[http::field::retry_after], "1");
    EXPECT_EQ(error_message(reply), "the server is still loading the model");
  }
  EXPECT_EQ(client.ask(get("/health/live")).body(), R"({"status":"live"})");
  EXPECT_EQ(client.ask(post("/health/live", ""))[http::field::allow], "GET, HEAD");
  const Reply metrics = client.ask(get("/metrics"));
  EXPECT_EQ(metrics.result_int(), 200u);
  EXPECT_THAT(metrics.body(),
              HasSubstr(R"(rubato_http_answers_total{route="/health",status="503"} 1)"));
  EXPECT_THAT(metrics.body(), Not(HasSubstr("rubato_ready{")));
  serve();
  EXPECT_EQ(client.ask(get("/health")).body(), R"({"status":"ready"})");
  EXPECT_THAT(client.ask(get("/metrics")).body(),
              HasSubstr("rubato_build_info{model_name=\"tiny\""));
}

TEST_F(SessionTest, SaysWhatIsWrongAndGoesOn) {
  RawClient client(start());
  const std::string no_json =
      "POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n"
      "Content-Type: text/plain\r\n\r\n{}";
  const std::tuple<std::string, unsigned, const char*> cases[] = {
      {get("/nothing"), 404, "nothing at /nothing"},
      {get("/v1/models/other"), 404, "The model `other` does not exist."},
      {get(kCompletions), 405, "POST"},
      {post("/version", "{}"), 405, "GET"},
      {no_json, 415, "application/json"},
      {post(kCompletions, "{"), 400, "not JSON"},
      {post(kCompletions, "\"\xff\""), 400, "not JSON"},
      {post(kCompletions, "[]"), 400, "must be a JSON object"},
      {post(kCompletions, std::string(65, '[') + std::string(65, ']')), 400, "not JSON"},
      {post(kCompletions, R"({"prompt": "a", "n": 0})"), 400, "`n` is 0"},
      {post(kCompletions, R"({"prompt": "a", "model": "big"})"), 404, "The model `big`"},
  };
  for (const auto& [request, status, message] : cases) {
    const Reply reply = client.ask(request);
    EXPECT_EQ(reply.result_int(), status) << request;
    EXPECT_THAT(error_message(reply), HasSubstr(message));
    EXPECT_TRUE(reply.keep_alive()) << request;
  }
  EXPECT_EQ(client.ask(get(kCompletions))[http::field::allow], "POST");
  EXPECT_EQ(client.ask(post("/health", ""))[http::field::allow], "GET, HEAD");
  EXPECT_EQ(body_of(client.ask(get("/v1/models/x"))).at("error").at("code"), "model_not_found");
  EXPECT_EQ(engine_.num_submitted(), 0u);
}

TEST_F(SessionTest, AnswersTheEnginesRefusals) {
  engine_.on_submit = [refused = 0](std::size_t) mutable {
    return Error{refused++ == 0 ? Code::kOverloaded : Code::kUnavailable, "no"};
  };
  RawClient client(start());
  Reply reply;
  for (const unsigned status : {429u, 503u}) {
    reply = client.ask(post(kCompletions, R"({"prompt": "a"})"));
    EXPECT_EQ(reply.result_int(), status);
    EXPECT_EQ(reply[http::field::retry_after], "1");
  }
}

TEST_F(SessionTest, CancelsTheChoicesTakenWhenOneIsRefused) {
  engine_.on_submit = [](std::size_t n) {
    return n < 2 ? std::nullopt : std::optional(Error{Code::kOverloaded, "full"});
  };
  RawClient client(start());
  EXPECT_EQ(client.ask(post(kCompletions, R"({"prompt": "a", "n": 3})")).result_int(), 429u);
  engine_.wait_for_cancel(0);
  engine_.wait_for_cancel(1);
}

TEST_F(SessionTest, AnswersAFailureOfTheEngineAndCancelsTheOtherChoices) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "n": 2})"));
  engine_.request(1);
  engine_.fail(0, {Code::kInternal, "broken"});
  EXPECT_EQ(client.read().result_int(), 500u);
  engine_.wait_for_cancel(1);
}

TEST_F(SessionTest, AFailureOfACompleteChoiceChangesNothing) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "n": 2, "max_tokens": 1})"));
  engine_.commit(0, encode("b"), 0, true);
  engine_.fail(0, {Code::kUnavailable, "too late"});
  engine_.commit(1, encode("c"), 0, true);
  EXPECT_EQ(client.read().result_int(), 200u);
}

TEST_F(SessionTest, AnswersAnExceptionAndServesOn) {
  engine_.on_submit = [](std::size_t) -> std::optional<Error> {
    throw std::runtime_error("secret");
  };
  const std::uint16_t port = start();
  RawClient client(port);
  const Reply reply = client.ask(post(kCompletions, R"({"prompt": "a"})"));
  EXPECT_EQ(reply.result_int(), 500u);
  EXPECT_EQ(reply.body().find("secret"), std::string::npos);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(RawClient(port).ask(get("/health")).result_int(), 200u);
}

TEST_F(SessionTest, ARequestsTimesCountFromItsArrivalAndNotFromItsSubmission) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kBeforeSubmission{60};  // above the first bounds told of
  engine_.on_submit = [&](std::size_t) {
    const auto until = Clock::now() + kBeforeSubmission;
    while (Clock::now() < until) std::this_thread::yield();
    return std::optional<Error>();
  };
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 1})"));
  engine_.commit(0, encode("b"), 0, true);
  EXPECT_EQ(client.read().result_int(), 200u);
  const std::string metrics = client.ask(get("/metrics")).body();
  EXPECT_THAT(metrics, HasSubstr("rubato_e2e_request_latency_seconds_bucket{le=\"0.05\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("rubato_time_to_first_token_seconds_bucket{le=\"0.05\"} 0\n"));
}

TEST_F(SessionTest, ASilentStreamGetsCommentsWhileItIsQueuedAndBetweenItsTexts) {
  config_.stream_heartbeat = std::chrono::milliseconds(1);
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 4, "stream": true})"));
  EXPECT_THAT(client.read_until("\r\n: \n\n"), Not(HasSubstr("data:")));
  EXPECT_EQ(client.read_until(": \n\n"), "\r\n4\r\n: \n\n");
  engine_.commit(0, encode("b"), 0, false);
  client.read_until(R"("text":"b")");
  client.read_until("\r\n: \n\n");
  engine_.commit(0, encode("c"), 2, false);  // no text is certain: news, but nothing written
  client.read_until("\r\n: \n\n");
  engine_.commit(0, encode("d"), 1, false);
  engine_.commit(0, {eos_}, 3, true);
  client.read_until(R"("text":"dc")");
  client.read_until("data: [DONE]\n\n\r\n0\r\n\r\n");
  EXPECT_EQ(client.ask(get("/health")).result_int(), 200u);
}

TEST_F(SessionTest, AStopStringCancelsTheGeneration) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 16, "stop": "7"})"));
  engine_.commit(0, encode("5 67"), 0, false);
  const json::object body = body_of(client.read());
  EXPECT_EQ(body.at("choices").at(0).at("text"), "5 6");
  engine_.wait_for_cancel(0);
}

TEST_F(SessionTest, CountsTheRequestsBeingAnswered) {
  RawClient client(start());
  EXPECT_EQ(server_->active_requests(), 0);
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 1})"));
  engine_.request(0);
  while (server_->active_requests() == 0) std::this_thread::yield();
  engine_.commit(0, encode("b"), 0, true);
  client.read();
  client.ask(get("/health"));  // the first request's answer is behind the session by now
  EXPECT_EQ(server_->active_requests(), 0);
}

TEST_F(SessionTest, ServesSeveralConnectionsAtOnce) {
  const std::uint16_t port = start();
  RawClient slow(port);
  slow.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 1})"));
  engine_.request(0);
  EXPECT_EQ(RawClient(port).ask(get("/health")).result_int(), 200u);
  engine_.commit(0, encode("b"), 0, true);
  EXPECT_EQ(slow.read().result_int(), 200u);
}

TEST_F(SessionTest, OpenConnectionsAreServedOnAfterTheServerStopsAccepting) {
  RawClient client(start());
  EXPECT_EQ(client.ask(get("/health")).result_int(), 200u);
  server_->stop_accepting();
  EXPECT_EQ(client.ask(get("/health")).result_int(), 200u);
}

TEST_F(SessionTest, StoppingTheServerCancelsWhatRuns) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 4})"));
  engine_.request(0);
  server_.reset();
  engine_.wait_for_cancel(0);
  engine_.commit(0, encode("b"), 0, true);  // an engine that is late: nobody hears it
}

}  // namespace
}  // namespace rubato::testing
