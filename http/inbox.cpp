#include "http/inbox.h"

#include <boost/asio.hpp>

namespace rubato {

namespace asio = boost::asio;

Inbox::Inbox(const asio::any_io_executor& strand) : strand_(strand), wake_(strand) {}

UpdateSink Inbox::sink(std::size_t choice) {
  return [weak = weak_from_this(), choice](const GenerationUpdate& update) {
    const std::shared_ptr<Inbox> self = weak.lock();
    if (!self) return;
    asio::post(self->strand_,
               [self, news = News{choice, update}]() mutable { self->add(std::move(news)); });
  };
}

void Inbox::add(News news) {
  news_.push_back(std::move(news));
  wake_.cancel();
}

asio::awaitable<bool> Inbox::comes_by(std::chrono::steady_clock::time_point until) {
  while (news_.empty() && !client_gone_) {
    wake_.expires_at(until);
    const auto [woken] = co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!woken) break;  // timed out
  }
  co_return !news_.empty() || client_gone_;
}

asio::awaitable<std::optional<Inbox::News>> Inbox::next() {
  co_await comes_by(asio::steady_timer::time_point::max());
  if (client_gone_) co_return std::nullopt;
  std::optional<News> news = std::move(news_.front());
  news_.pop_front();
  co_return news;
}

void Inbox::leave() {
  client_gone_ = true;
  wake_.cancel();
}

}  // namespace rubato
