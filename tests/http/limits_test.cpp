// Sizes, times and numbers of connections. A limit of time is short and waited for at the client's
// end of the connection; nothing here sleeps.
#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

namespace http = boost::beast::http;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

using LimitsTest = ServerTest;

constexpr const char* kHeaderOfABody =
    "POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n";

TEST_F(LimitsTest, ABodyThatIsAnnouncedTooLargeIsRefusedUnread) {
  config_.max_body_bytes = 100;
  RawClient client(start());
  const Reply reply = client.ask(std::string(kHeaderOfABody) + "Content-Length: 101\r\n\r\n");
  EXPECT_EQ(reply.result_int(), 413u);
  EXPECT_EQ(error_message(reply), "the body has more than 100 bytes");
  client.half_close();
  EXPECT_TRUE(client.closed());
}

TEST_F(LimitsTest, ARefusalReachesAClientThatIsStillSending) {
  RawClient client(start());
  const std::string body(8 << 20, ' ');
  client.send(post(kCompletions, body));
  EXPECT_EQ(client.read().result_int(), 413u);
}

TEST_F(LimitsTest, ChunksThatGrowTooLargeAreRefused) {
  config_.max_body_bytes = 100;
  RawClient client(start());
  std::string bytes = std::string(kHeaderOfABody) + "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) bytes += "a\r\n0123456789\r\n";
  EXPECT_EQ(client.ask(bytes).result_int(), 413u);
}

TEST_F(LimitsTest, ABodyOfJustTheLimitIsTaken) {
  config_.max_body_bytes = 100;
  RawClient client(start());
  EXPECT_THAT(error_message(client.ask(post(kCompletions, std::string(100, ' ')))),
              HasSubstr("not JSON"));
}

TEST_F(LimitsTest, AHeaderThatIsTooLargeIsRefused) {
  config_.max_header_bytes = 512;
  const std::uint16_t port = start();
  const std::string field = "X-A: " + std::string(600, 'a') + "\r\n";
  EXPECT_EQ(RawClient(port).ask(get("/health", field)).result_int(), 431u);
  RawClient endless(port);
  const Reply reply = endless.ask("GET /" + std::string(600, 'a'));
  EXPECT_EQ(reply.result_int(), 431u);
  EXPECT_EQ(error_message(reply), "the header has more than 512 bytes");
}

TEST_F(LimitsTest, TooManyHeaderFieldsAreRefused) {
  config_.max_header_fields = 5;
  const std::uint16_t port = start();
  EXPECT_EQ(RawClient(port).ask(get("/health", "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n")).result_int(),
            200u);
  const Reply reply =
      RawClient(port).ask(get("/health", "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n"));
  EXPECT_EQ(reply.result_int(), 431u);
  EXPECT_EQ(error_message(reply), "the header has more than 5 fields");
}

TEST_F(LimitsTest, EndlessChunkExtensionsAreRefused) {
  RawClient client(start());
  client.send(std::string(kHeaderOfABody) + "Transfer-Encoding: chunked\r\n\r\n2;");
  client.send(std::string(std::size_t{1} << 20, 'x'));
  EXPECT_EQ(client.read().result_int(), 431u);
}

TEST_F(LimitsTest, AHeaderThatDoesNotComeIsAnsweredAsTooSlow) {
  config_.request_timeout = milliseconds(50);
  RawClient client(start());
  const Reply reply = client.ask("GET /health HTTP/1.1\r\nHos");
  EXPECT_EQ(reply.result_int(), 408u);
  EXPECT_EQ(error_message(reply), "the request took too long to arrive");
  EXPECT_TRUE(client.closed());
}

TEST_F(LimitsTest, ABodyThatDoesNotComeIsAnsweredAsTooSlow) {
  config_.request_timeout = milliseconds(50);
  const std::uint16_t port = start();
  for (const char* rest : {"Content-Length: 100\r\n\r\n",
                           "Content-Length: 100\r\n\r\n{\"prompt\":",
                           "Transfer-Encoding: chunked\r\n\r\n",
                           "Transfer-Encoding: chunked\r\n\r\na\r\n{\"pro"}) {
    RawClient client(port);
    EXPECT_EQ(client.ask(std::string(kHeaderOfABody) + rest).result_int(), 408u) << rest;
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(engine_.num_submitted(), 0u);
}

TEST_F(LimitsTest, ARequestThatTricklesInIsTooSlowAllTheSame) {
  config_.request_timeout = milliseconds(50);
  config_.max_header_bytes = 64 << 20;  // more than comes in that time, a byte at a time
  RawClient client(start());
  client.send("GET /health HTTP/1.1\r\nX: ");
  std::atomic<bool> answered = false;
  std::thread trickle([&] {
    while (!answered && client.send("a")) std::this_thread::yield();
  });
  EXPECT_EQ(client.read().result_int(), 408u);
  answered = true;
  trickle.join();
}

TEST_F(LimitsTest, ASilentConnectionIsClosedWithoutAnAnswer) {
  config_.idle_timeout = milliseconds(50);
  RawClient client(start());
  EXPECT_TRUE(client.closed());
}

TEST_F(LimitsTest, AnIdleConnectionIsClosedWithoutAnAnswer) {
  config_.idle_timeout = milliseconds(50);
  RawClient client(start());
  EXPECT_EQ(client.ask(get("/health")).result_int(), 200u);
  EXPECT_TRUE(client.closed());
}

TEST_F(LimitsTest, MakingAnAnswerIsNotBoundByTheTimesOfReading) {
  config_.request_timeout = config_.idle_timeout = milliseconds(50);
  const std::uint16_t port = start();
  RawClient asking(port), silent(port);
  asking.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 1})"));
  engine_.request(0);
  EXPECT_TRUE(silent.closed());  // the time has passed
  engine_.commit(0, encode("b"), 0, true);
  EXPECT_EQ(asking.read().result_int(), 200u);
}

TEST_F(LimitsTest, AHalfSentBodyAndNoClientIsNoRequest) {
  const std::uint16_t port = start();
  RawClient client(port);
  client.send(std::string(kHeaderOfABody) + "Content-Length: 100\r\n\r\n{\"prompt\":");
  client.half_close();
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(engine_.num_submitted(), 0u);
}

TEST_F(LimitsTest, AConnectionBeyondTheLimitIsClosed) {
  config_.max_connections = 1;
  const std::uint16_t port = start();
  auto first = std::make_unique<RawClient>(port);
  EXPECT_EQ(first->ask(get("/health")).result_int(), 200u);
  EXPECT_TRUE(RawClient(port).closed());
  EXPECT_EQ(first->ask(get("/health")).result_int(), 200u);
}

TEST_F(LimitsTest, ABodyIsAskedForWhereTheClientWaits) {
  RawClient client(start());
  client.send(std::string(kHeaderOfABody) + "Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n");
  EXPECT_EQ(client.read(/*to_head=*/true).result_int(), 100u);
  client.send("{}");
  EXPECT_EQ(client.read().result_int(), 400u);
}

TEST_F(LimitsTest, AReaderThatStopsReadingIsGivenUp) {
  config_.request_timeout = milliseconds(100);
  RawClient client(start(), /*receive_buffer=*/4096);
  const int length = 16'000;
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 16000, "stream": true})"));
  engine_.request(0);
  const TokenId word = encode("a")[0];
  for (int i = 0; i < length && !engine_.cancelled(0); ++i) engine_.commit(0, {word}, i, false);
  engine_.wait_for_cancel(0);
}

}  // namespace
}  // namespace rubato::testing
