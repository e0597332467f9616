#include "benchmarks/serving/load.h"

#include <algorithm>
#include <boost/asio.hpp>

#include "benchmarks/serving/answer_reader.h"
#include "benchmarks/serving/arrivals.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using Clock = std::chrono::steady_clock;

/// One level while it runs. Its coroutines borrow it; all run on the thread of `run`.
class Level {
 public:
  Level(const Endpoint& endpoint,
        std::span<const std::string> bodies,
        const std::function<void(int)>& on_end)
      : endpoint_(endpoint), bodies_(bodies), on_end_(on_end), samples_(bodies.size()) {}

  std::vector<RequestSample> run(const LoadLevel& level) {
    begin_ = Clock::now();
    if (level.closed()) {
      for (int i = 0; i < level.concurrency; ++i) asio::co_spawn(io_, work(), asio::detached);
    } else {
      asio::co_spawn(io_, send_on_time(level), asio::detached);
    }
    io_.run();
    return std::move(samples_);
  }

 private:
  double now() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  /// One of the clients of a closed loop.
  awaitable<void> work() {
    while (next_ < bodies_.size()) {
      const std::size_t number = next_++;
      co_await ask(number, now());
    }
  }

  awaitable<void> send_on_time(LoadLevel level) {
    const std::vector<double> times =
        poisson_arrivals(level.rate, static_cast<int>(bodies_.size()), level.seed);
    asio::steady_timer timer(io_);
    for (std::size_t i = 0; i < times.size(); ++i) {
      const auto after = std::chrono::duration<double>(times[i]);
      timer.expires_at(begin_ + std::chrono::duration_cast<Clock::duration>(after));
      co_await timer.async_wait(asio::use_awaitable);
      asio::co_spawn(io_, ask(i, times[i]), asio::detached);
    }
  }

  awaitable<void> ask(std::size_t number, double due) {
    AnswerReader answer;
    RequestSample sample;
    sample.due = due;
    BodySink sink = [&](std::string_view bytes) {
      const bool had_text = answer.has_text();
      answer.add(bytes);
      if (!had_text && answer.has_text()) sample.first_text = now();
    };
    const Result<HttpReply> reply = co_await exchange(
        endpoint_, std::string("/v1/chat/completions"), bodies_[number], std::move(sink));
    sample.end = now();
    if (!answer.has_text()) sample.first_text = sample.end;
    sample.prompt_tokens = answer.prompt_tokens();
    sample.output_tokens = answer.output_tokens();
    sample.error = fault(reply, answer);
    samples_[number] = std::move(sample);
    on_end_(++ended_);
  }

  static std::string fault(const Result<HttpReply>& reply, const AnswerReader& answer) {
    if (!reply) return reply.error().message;
    if (reply->status != 200)
      return concat("HTTP ", reply->status, ": ", error_message(reply->body));
    if (!answer.error().empty()) return answer.error();
    return answer.done() ? "" : "the stream ended without [DONE]";
  }

  const Endpoint& endpoint_;
  const std::span<const std::string> bodies_;
  const std::function<void(int)>& on_end_;
  asio::io_context io_;
  Clock::time_point begin_;
  std::vector<RequestSample> samples_;
  std::size_t next_ = 0;
  int ended_ = 0;
};

}  // namespace

std::string LoadLevel::name() const {
  return closed() ? concat(concurrency, " at a time") : concat(rate, "/s");
}

std::vector<RequestSample> run_level(const Endpoint& endpoint,
                                     const LoadLevel& level,
                                     std::span<const std::string> bodies,
                                     const std::function<void(int)>& on_end) {
  return Level(endpoint, bodies, on_end).run(level);
}

}  // namespace rubato
