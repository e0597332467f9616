// Bodies that take long to read are read elsewhere than on the strand. Here that is a loop which
// the test runs itself, so that it decides when they are.
#include <atomic>
#include <boost/asio.hpp>
#include <future>
#include <thread>

#include "http/session.h"
#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

namespace asio = boost::asio;

class LargeBodyTest : public ServerTest {
 protected:
  LargeBodyTest() : http_thread_([this] { io_.run(); }) {}

  ~LargeBodyTest() override {
    io_.stop();
    http_thread_.join();
  }

  std::unique_ptr<RawClient> connect() {
    auto client = std::make_unique<RawClient>(acceptor_.local_endpoint().port());
    asio::ip::tcp::socket socket = acceptor_.accept(asio::make_strand(io_));
    const auto strand = socket.get_executor();
    asio::co_spawn(strand, serve_connection(std::move(socket), context_), asio::detached);
    return client;
  }

  /// Reads one body, and waits for it to come before.
  void read_one() {
    ASSERT_EQ(reader_.run_one_for(std::chrono::seconds(20)), 1u);
    reader_.poll();
  }

  /// A JSON string of so many bytes at least.
  std::string long_text(std::size_t bytes = 1 << 20) const {
    std::string text = "\"";
    while (text.size() < bytes) text += "12 apples and 5 pears. ";
    return text + '"';
  }

  const Served served_{{model_, tokenizer_, /*chat_template=*/nullptr, defaults_}, engine_};
  const std::atomic<const Served*> there_{&served_};
  std::atomic<int> active_requests_{0};
  ServerMetrics metrics_;
  asio::io_context io_;
  asio::io_context reader_;
  const asio::executor_work_guard<asio::io_context::executor_type> io_open_{io_.get_executor()};
  const asio::executor_work_guard<asio::io_context::executor_type> reader_open_{
      reader_.get_executor()};
  asio::ip::tcp::acceptor acceptor_{io_,
                                    asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  const SessionContext context_{
      config_, there_, active_requests_, metrics_, reader_.get_executor()};
  std::thread http_thread_;  // the only one
};

TEST_F(LargeBodyTest, AStreamGoesOnWhileALargeTextWaitsToBeTokenized) {
  const auto reading = connect(), asking = connect();
  reading->send(post(kCompletions, R"({"prompt": "a", "max_tokens": 2, "stream": true})"));
  engine_.commit(0, encode("b"), 0, false);
  reading->read_until("\"text\":\"b\"");
  asking->send(post("/tokenize", R"({"prompt": )" + long_text() + "}"));
  engine_.commit(0, encode("c"), 1, true);
  reading->read_until("\"text\":\"c\"");
  reading->read_until("[DONE]");
  read_one();
  EXPECT_EQ(asking->read().result_int(), 200u);
}

TEST_F(LargeBodyTest, ItsAnswerIsWhatATokenizerSays) {
  const auto client = connect();
  const std::string text = long_text();
  client->send(post("/tokenize", R"({"prompt": )" + text + "}"));
  read_one();
  const boost::json::object body = body_of(client->read());
  const std::vector<TokenId> ids = encode(text.substr(1, text.size() - 2));
  EXPECT_EQ(body.at("count"), ids.size());
  EXPECT_EQ(body.at("tokens"), boost::json::value(boost::json::array(ids.begin(), ids.end())));
}

TEST_F(LargeBodyTest, GenerationsAndMistakesComeBackToTheStrand) {
  const auto client = connect();
  client->send(post(kCompletions, R"({"max_tokens": 1, "prompt": )" + long_text(20'000) + "}"));
  read_one();
  engine_.commit(0, encode("b"), 0, true);
  EXPECT_EQ(body_of(client->read()).at("choices").at(0).at("text"), "b");
  client->send(post(kCompletions, R"({"max_tokens": 0, "prompt": )" + long_text(20'000) + "}"));
  read_one();
  EXPECT_THAT(error_message(client->read()), ::testing::HasSubstr("`max_tokens` is 0"));
  client->send(post(kCompletions, long_text(20'000) + "]"));
  read_one();
  EXPECT_THAT(error_message(client->read()), ::testing::HasSubstr("not JSON"));
}

TEST_F(LargeBodyTest, ASmallBodyIsReadAtOnce) {
  const auto client = connect();
  EXPECT_EQ(client->ask(post("/tokenize", R"({"prompt": "a"})")).result_int(), 200u);
  EXPECT_EQ(reader_.poll(), 0u);
}

TEST_F(LargeBodyTest, AServerReadsThemItself) {
  RawClient client(start());
  EXPECT_EQ(client.ask(post("/tokenize", R"({"prompt": )" + long_text() + "}")).result_int(), 200u);
}

TEST_F(LargeBodyTest, AServerStopsWhileThereAreSomeToRead) {
  const std::uint16_t port = start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(port));
    clients.back()->send(post("/tokenize", R"({"prompt": )" + long_text() + "}"));
  }
  const auto stopped = std::async(std::launch::async, [this] { server_->stop(); });
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

}  // namespace
}  // namespace rubato::testing
