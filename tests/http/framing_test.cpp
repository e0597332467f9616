// What a client sends that is not quite HTTP: refused with 400, and nothing behind it is read as a
// request.
#include "http/request_checks.h"
#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

using ::testing::HasSubstr;

std::string request_with(std::string_view fields, std::string_view body = "") {
  return "POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" +
         std::string(fields) + "\r\n" + std::string(body);
}

TEST(FoldedHeader, IsToldByALineThatBeginsBlank) {
  EXPECT_TRUE(is_folded("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"));
  EXPECT_TRUE(is_folded("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n"));
  EXPECT_FALSE(is_folded("GET / HTTP/1.1\r\nHost: a b\tc\r\n\r\n"));
}

TEST(RequestPath, IsWithoutOriginAndQueryAndDecoded) {
  EXPECT_EQ(path_of("/a/b?c=/d"), "/a/b");
  EXPECT_EQ(path_of("http://host:80/a?b"), "/a");
  EXPECT_EQ(path_of("/v1/models/a%2Fb%20c"), "/v1/models/a/b c");
  EXPECT_EQ(path_of("/100%"), "/100%");
  EXPECT_EQ(path_of("/%4"), "/%4");
  EXPECT_EQ(path_of("/%zz%+1"), "/%zz%+1");
  EXPECT_EQ(path_of("*"), "*");
  EXPECT_EQ(path_of(""), "");
}

class FramingTest : public ServerTest {
 protected:
  /// Sends `bytes` with a second request behind them; the message of the refusal.
  std::string refusal(std::string_view bytes) {
    if (!server_) start();
    RawClient client(server_->port());
    client.send(std::string(bytes) + get("/version"));
    const Reply reply = client.read();
    EXPECT_EQ(reply.result_int(), 400u) << bytes;
    EXPECT_FALSE(reply.keep_alive()) << bytes;
    EXPECT_TRUE(client.closed()) << bytes;
    EXPECT_EQ(engine_.num_submitted(), 0u) << bytes;
    return error_message(reply);
  }
};

TEST_F(FramingTest, TransferEncodingsOtherThanChunkedAreRefused) {
  for (const char* coding : {"xchunked",
                             "identity",
                             "chunked, identity",
                             "identity, chunked",
                             "gzip",
                             "",
                             "chunked, chunked",
                             " chunked;q=1"}) {
    refusal(request_with("Transfer-Encoding: " + std::string(coding) + "\r\n", "0\r\n\r\n"));
  }
  refusal(
      request_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
}

TEST_F(FramingTest, TwoLengthsAreRefused) {
  refusal(request_with("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
  refusal(request_with("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n"));
  refusal(request_with("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"));
  refusal(request_with("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"));
  refusal(request_with("Content-Length: 2, 2\r\n", "{}"));
}

TEST_F(FramingTest, ALengthThatIsNoNumberIsRefused) {
  for (const char* length : {"-1", "+2", "0x2", "2 2", "", "two", "99999999999999999999999"})
    refusal(request_with("Content-Length: " + std::string(length) + "\r\n", "{}"));
}

TEST_F(FramingTest, ThereMustBeOneHost) {
  EXPECT_THAT(refusal("GET /health HTTP/1.1\r\n\r\n"), HasSubstr("one Host"));
  EXPECT_THAT(refusal("GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), HasSubstr("one Host"));
}

TEST_F(FramingTest, Http10HasNoChunks) {
  EXPECT_THAT(
      refusal("POST /v1/completions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      HasSubstr("HTTP/1.0"));
}

TEST_F(FramingTest, FoldedFieldsAreRefused) {
  EXPECT_THAT(refusal("GET /health HTTP/1.1\r\nHost: test\r\nX-A: b\r\n c\r\n\r\n"),
              HasSubstr("folded"));
  EXPECT_THAT(
      refusal("GET /health HTTP/1.1\r\nHost: test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"),
      HasSubstr("folded"));
}

TEST_F(FramingTest, TrailersAreNoFieldsOfTheRequest) {
  RawClient client(start());
  const std::string chunks = "2\r\n{}\r\n0\r\nContent-Type: text/plain\r\nX-Request-Id: x\r\n\r\n";
  const Reply reply = client.ask(request_with("Transfer-Encoding: chunked\r\n", chunks));
  EXPECT_THAT(error_message(reply), HasSubstr("`prompt` is required"));
  EXPECT_NE(reply["X-Request-Id"], "x");
}

TEST_F(FramingTest, MalformedChunksAreRefused) {
  for (const char* body : {"x\r\n{}\r\n0\r\n\r\n",
                           "-2\r\n{}\r\n0\r\n\r\n",
                           "2\n{}\r\n0\r\n\r\n",
                           "2\r\n{}0\r\n\r\n\r\n",
                           "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"})
    refusal(request_with("Transfer-Encoding: chunked\r\n", body));
}

TEST_F(FramingTest, MalformedHeadersAreRefused) {
  for (const char* bytes : {"GET /health\r\nHost: test\r\n\r\n",
                            "GET /health HTTP/2.0\r\nHost: test\r\n\r\n",
                            "GET /health HTTP/1.1 \r\nHost: test\r\n\r\n",
                            "GET  /health HTTP/1.1\r\nHost: test\r\n\r\n",
                            "GET /health HTTP/1.1\r\nHost : test\r\n\r\n",
                            "GET /health HTTP/1.1\r\n Host: test\r\n\r\n",
                            "GET /health HTTP/1.1\r\nHost\r\n\r\n",
                            "GET /health HTTP/1.1\nHost: test\n\n",
                            "GET /health HTTP/1.1\r\nHost: te\rst\r\n\r\n",
                            "\r\n\r\n",
                            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                            "\x16\x03\x01\x02\x01"})
    refusal(bytes);
}

TEST_F(FramingTest, ARefusalIsNotTakenForTheRequestBefore) {
  RawClient client(start());
  EXPECT_EQ(client.ask(get("/health", "X-Request-Id: first\r\n"))["X-Request-Id"], "first");
  const Reply reply = client.ask("nonsense\r\n\r\n");
  EXPECT_EQ(reply.result_int(), 400u);
  EXPECT_NE(reply["X-Request-Id"], "first");
}

}  // namespace
}  // namespace rubato::testing
