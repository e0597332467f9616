#include <sys/resource.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

constexpr const char* kStreamed = R"({"prompt": "a", "max_tokens": 64, "stream": true})";
constexpr const char* kTraced =
    R"({"prompt": "a", "max_tokens": 64, "stream": true, "diffusion": {"trace": true}})";

/// The bytes of one event: a step without commits whose trace is long.
constexpr std::size_t kBigEvent = 100'000;

GenerationUpdate big_step() {
  GenerationUpdate update;
  update.trace = StepTrace{.boundary = {}, .similarity = {}, .tracked = {}, .committed = {}};
  update.trace->tracked.assign(kBigEvent / 2, 1);  // "1," each
  return update;
}

class ManyStreams : public ServerTest {
 protected:
  /// Both ends of all connections are in this process. False: the system does not grant so many.
  static bool allow_open_files(rlim_t count) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min(std::max(limit.rlim_cur, count), limit.rlim_max);
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= count;
  }

  static std::string text_of(const std::string& stream) {
    std::string text;
    for (std::size_t begin = stream.find("data: {"); begin != std::string::npos;
         begin = stream.find("data: {", begin + 1)) {
      const std::size_t end = stream.find("\n\n", begin);
      const auto event = boost::json::parse(stream.substr(begin + 6, end - begin - 6));
      text += event.at("choices").at(0).at("text").as_string();
    }
    return text;
  }

  /// What the answers are made of, each text two tokens.
  std::vector<TokenId> words(std::size_t stream) const {
    static constexpr std::string_view kDigits = "0123456789";
    return {encode(kDigits.substr(stream % 10, 1))[0],
            encode(kDigits.substr(stream / 10 % 10, 1))[0]};
  }

  std::string expected(std::size_t stream) const { return tokenizer_.decode(words(stream), false); }
};

TEST_F(ManyStreams, EachEventCanBeReadBeforeTheNextIsMade) {
  RawClient client(start());
  client.send(post(kCompletions, kStreamed));
  client.read_until("\r\n\r\n");
  for (int i = 0; i < 5; ++i) {
    engine_.commit(0, encode("7"), i, false);
    EXPECT_EQ(text_of(client.read_until("\n\n")), "7") << i;
  }
  engine_.commit(0, {eos_}, 5, true);
  client.read_until("data: [DONE]\n\n\r\n0\r\n\r\n");
}

TEST_F(ManyStreams, FiveHundredAreOpenAtOnceAndEachGetsItsOwn) {
  constexpr std::size_t kStreams = 500;
  if (!allow_open_files(2 * kStreams + 200)) GTEST_SKIP() << "too few open files are allowed";
  const std::uint16_t port = start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<RawClient>(port));
    clients.back()->send(post(kCompletions, kStreamed));
    clients.back()->read_until("\r\n\r\n");  // it has begun, and is number i for the engine
  }
  EXPECT_EQ(server_->active_requests(), static_cast<int>(kStreams));
  std::vector<std::size_t> order(kStreams);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(1);
  for (int token = 0; token < 2; ++token) {
    std::ranges::shuffle(order, random);
    for (const std::size_t i : order) engine_.commit(i, {words(i)[token]}, token, false);
  }
  for (const std::size_t i : order) engine_.commit(i, {eos_}, 2, true);
  for (const std::size_t i : order) {
    const std::string stream = clients[i]->read_until("data: [DONE]\n\n\r\n0\r\n\r\n");
    std::string events;  // without the chunks' sizes
    for (std::size_t begin = stream.find("data: "); begin != std::string::npos;
         begin = stream.find("data: ", begin + 1))
      events += stream.substr(begin, stream.find("\n\n", begin) + 2 - begin);
    EXPECT_EQ(text_of(events), expected(i)) << i;
  }
  EXPECT_EQ(RawClient(port).ask(get("/health")).result_int(), 200u);
}

TEST_F(ManyStreams, OneThatIsNeverReadHoldsUpNobodyAndIsDisconnected) {
  config_.threads = 1;
  config_.max_unsent_bytes = 1 << 20;
  const std::uint16_t port = start();
  RawClient lazy(port, /*receive_buffer=*/4096), brisk(port);
  lazy.send(post(kCompletions, kTraced));
  engine_.request(0);
  brisk.send(post(kCompletions, kStreamed));
  brisk.read_until("\r\n\r\n");
  // More than the system keeps for two sockets, and the server for the stream.
  constexpr std::size_t kEnough = 64 << 20;
  std::size_t told = 0;
  int position = 0;
  for (; told < kEnough && !engine_.cancelled(0); told += kBigEvent) {
    engine_.tell(0, big_step());
    if (position == 60) continue;
    engine_.commit(1, encode("7"), position++, false);
    EXPECT_EQ(text_of(brisk.read_until("\n\n")), "7");
  }
  engine_.wait_for_cancel(0);
  EXPECT_GT(told, static_cast<std::size_t>(config_.max_unsent_bytes));
  engine_.commit(1, {eos_}, position, true);
  brisk.read_until("data: [DONE]\n\n");
  EXPECT_EQ(RawClient(port).ask(get("/health")).result_int(), 200u);
}

TEST_F(ManyStreams, OneThatIsReadLateStillGetsAllThatFitsTheBuffer) {
  config_.max_unsent_bytes = 16 << 20;
  RawClient late(start(), /*receive_buffer=*/4096);
  late.send(post(kCompletions, kTraced));
  constexpr int kSteps = 60;  // more than the system keeps for the two sockets
  for (int i = 0; i < kSteps; ++i) engine_.tell(0, big_step());
  engine_.commit(0, {encode("7")[0], eos_}, 0, true);
  const Reply reply = late.read();  // only now
  EXPECT_GT(reply.body().size(), kSteps * kBigEvent);
  EXPECT_TRUE(reply.body().ends_with("data: [DONE]\n\n"));
}

TEST_F(ManyStreams, OneEventMayBeLargerThanTheBuffer) {
  config_.max_unsent_bytes = 1024;
  RawClient client(start());
  client.send(post(kCompletions, kTraced));
  engine_.tell(0, big_step());
  client.read_until("\n\n");
  engine_.commit(0, {encode("7")[0], eos_}, 0, true);
  client.read_until("data: [DONE]\n\n");
}

}  // namespace
}  // namespace rubato::testing
