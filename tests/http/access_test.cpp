// Access keys and other sites' pages, over a socket.
#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

namespace http = boost::beast::http;

constexpr const char* kKeyField = "Authorization: Bearer open-sesame\r\n";
constexpr const char* kPageField = "Origin: https://page.example\r\n";

class AccessTest : public ServerTest {
 protected:
  void lock() { config_.keys = AccessKeys::parse("open-sesame", "test").value(); }
  void open_to_page() { config_.cross_origin = CrossOrigin::parse("https://page.example").value(); }

  static std::string_view allowed_origin(const Reply& reply) {
    return reply[http::field::access_control_allow_origin];
  }
};

TEST_F(AccessTest, EveryRouteButHealthWantsAKey) {
  lock();
  const std::uint16_t port = start();
  for (const char* path :
       {"/v1/models", "/v1/models/tiny", "/version", "/load", "/metrics", "/nothing"}) {
    const Reply refused = RawClient(port).ask(get(path));
    EXPECT_EQ(refused.result_int(), 401u) << path;
    EXPECT_EQ(refused[http::field::www_authenticate], "Bearer");
    EXPECT_NE(RawClient(port).ask(get(path, kKeyField)).result_int(), 401u) << path;
  }
  for (const char* path : {"/health", "/health/live"})
    EXPECT_EQ(RawClient(port).ask(get(path)).result_int(), 200u) << path;
}

TEST_F(AccessTest, AStrangersBodyIsNotReadAndStartsNothing) {
  lock();
  RawClient client(start());
  const Reply reply =
      client.ask("POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(reply.result_int(), 401u);
  EXPECT_FALSE(reply.keep_alive());
  const auto error = body_of(reply).at("error").as_object();
  EXPECT_EQ(error.at("type"), "authentication_error");
  EXPECT_EQ(error.at("code"), "invalid_api_key");
  EXPECT_EQ(engine_.num_submitted(), 0u);
}

TEST_F(AccessTest, AKeyIsAskedForWithEachRequestOfAConnection) {
  lock();
  RawClient client(start());
  EXPECT_EQ(client.ask(get("/version", kKeyField)).result_int(), 200u);
  EXPECT_EQ(client.ask(get("/version")).result_int(), 401u);
}

TEST_F(AccessTest, APreflightNeedsNoKeyAndAnswersForAllowedPagesOnly) {
  lock();
  open_to_page();
  const std::uint16_t port = start();
  const std::string options = "OPTIONS /v1/completions HTTP/1.1\r\nHost: test\r\n";
  const Reply allowed = RawClient(port).ask(options + kPageField + "\r\n");
  EXPECT_EQ(allowed.result_int(), 204u);
  EXPECT_EQ(allowed_origin(allowed), "https://page.example");
  const Reply other = RawClient(port).ask(options + "Origin: https://other.example\r\n\r\n");
  EXPECT_EQ(other.count(http::field::access_control_allow_origin), 0u);
}

TEST_F(AccessTest, AnAllowedPageCanReadAnswersErrorsAndStreams) {
  lock();
  open_to_page();
  const std::uint16_t port = start();
  const std::string fields = std::string(kPageField) + kKeyField;
  EXPECT_EQ(allowed_origin(RawClient(port).ask(get("/version", fields))), "https://page.example");
  EXPECT_EQ(allowed_origin(RawClient(port).ask(get("/nothing", fields))), "https://page.example");
  EXPECT_EQ(allowed_origin(RawClient(port).ask(get("/version", kPageField))),
            "https://page.example");
  RawClient client(port);
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 1, "stream": true})", fields));
  engine_.commit(0, encode("b"), 0, true);
  EXPECT_EQ(allowed_origin(client.read()), "https://page.example");
}

TEST_F(AccessTest, MetricsTellOfAnswersOverTheSocketWithoutAClientsText) {
  const std::uint16_t port = start();
  RawClient(port).ask(get("/secret"));
  RawClient(port).ask("nonsense\r\n\r\n");
  const std::string text = RawClient(port).ask(get("/metrics")).body();
  EXPECT_THAT(text,
              ::testing::HasSubstr(R"(rubato_http_answers_total{route="other",status="404"} 1)"));
  EXPECT_THAT(text, ::testing::HasSubstr("rubato_ready{replica=\"0\"} 1\n"));
  EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("secret")));
}

}  // namespace
}  // namespace rubato::testing
