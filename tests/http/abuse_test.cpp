// Clients in great number, and requests in pieces.
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

using ::testing::HasSubstr;

using AbuseTest = ServerTest;

constexpr const char* kStream =
    R"({"prompt": "a", "max_tokens": 4, "ignore_eos": true, "stream": true})";

/// Whether this process may hold so many files open; the limit is raised where that is allowed.
bool may_open(rlim_t files) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= files) return true;
  limit.rlim_cur = std::min(files, limit.rlim_max);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= files;
}

std::ptrdiff_t open_files() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

std::vector<std::unique_ptr<RawClient>> connect(int count, std::uint16_t port) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < count; ++i) clients.push_back(std::make_unique<RawClient>(port));
  return clients;
}

TEST_F(AbuseTest, AThousandIdleConnectionsHoldUpNoOne) {
  constexpr int kIdle = 1000;
  if (!may_open(2 * kIdle + 100)) GTEST_SKIP() << "the limit of open files is too low";
  const std::uint16_t port = start();
  const auto idle = connect(kIdle, port);
  for (const auto& client : idle) client->send("POST /v1/comple");
  RawClient client(port);
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 1})"));
  engine_.commit(0, encode("b"), 0, true);
  EXPECT_EQ(client.read().result_int(), 200u);
  EXPECT_EQ(idle.back()->ask("tions HTTP/1.1\r\n\r\n").result_int(), 400u);
}

TEST_F(AbuseTest, AClientThatLeavesTakesItsSocketWithIt) {
  config_.idle_timeout = std::chrono::hours(1);
  const std::uint16_t port = start();
  const std::ptrdiff_t before = open_files();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(RawClient(port).ask(get("/health")).result_int(), 200u);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (open_files() > before && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_LE(open_files(), before);
}

TEST_F(AbuseTest, AClientThatLeavesWithMoreUnderWayThanIsReadIsCancelled) {
  RawClient client(start());
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 4})"));
  client.send(post(kCompletions, std::string(4 * config_.max_header_bytes, ' ')));
  engine_.request(0);
  client.leave();
  engine_.wait_for_cancel(0);
}

TEST_F(AbuseTest, TwoHundredClientsThatVanishInMidStreamAreAllCancelled) {
  constexpr int kClients = 200;
  const std::uint16_t port = start();
  auto clients = connect(kClients, port);
  for (int i = 0; i < kClients; ++i) {
    clients[i]->send(post(kCompletions, kStream));
    engine_.commit(i, encode("b"), 0, false);
  }
  clients.clear();
  for (int i = 0; i < kClients; ++i) engine_.wait_for_cancel(i);
  for (int i = 0; i < kClients; ++i) engine_.commit(i, encode("c"), 1, true);  // crossed with it
  RawClient client(port);
  client.send(post(kCompletions, R"({"prompt": "a", "max_tokens": 1})"));
  engine_.commit(kClients, encode("b"), 0, true);
  EXPECT_EQ(client.read().result_int(), 200u);
  // A session ends a little later than its answer.
  while (server_->active_requests() > 0) std::this_thread::yield();
  EXPECT_EQ(body_of(RawClient(port).ask(get("/load"))).at("server_load"), 0);
}

TEST_F(AbuseTest, ARequestMayBeCutAtAnyByte) {
  const std::string body = R"({"prompt": 5})";
  const std::string chunked =
      "POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\nd;x=y\r\n" +
      body + "\r\n0\r\nTrailer: z\r\n\r\n";
  const std::uint16_t port = start();
  for (const std::string& bytes : {post(kCompletions, body), chunked}) {
    RawClient client(port);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      client.send(bytes.substr(0, cut));
      const Reply reply = client.ask(bytes.substr(cut));
      ASSERT_EQ(reply.result_int(), 400u) << cut;
      ASSERT_THAT(error_message(reply), HasSubstr("`prompt` must be")) << cut;
      ASSERT_TRUE(reply.keep_alive()) << cut;
    }
  }
}

TEST_F(AbuseTest, DeepJsonIsRefusedWhateverItsSize) {
  const std::uint16_t port = start();
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep = "{\"prompt\":";
    while (deep.size() < std::size_t{2} << 20) deep += open;
    const Reply reply = RawClient(port).ask(post(kCompletions, deep));
    EXPECT_EQ(reply.result_int(), 400u);
    EXPECT_THAT(error_message(reply), HasSubstr("too deep"));
  }
}

TEST_F(AbuseTest, TextThatIsNotUtf8IsRefusedInAStringAndInAKey) {
  const std::uint16_t port = start();
  for (const char* bad : {"\xff", "\xc3(", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    for (const char* form : {R"({"prompt": "%"})", R"({"%": 1, "prompt": "a"})"}) {
      std::string body = form;
      body.replace(body.find('%'), 1, bad);
      EXPECT_EQ(RawClient(port).ask(post(kCompletions, body)).result_int(), 400u) << body;
    }
  }
  EXPECT_EQ(engine_.num_submitted(), 0u);
}

}  // namespace
}  // namespace rubato::testing
