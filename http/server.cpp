#include "http/server.h"

#include <boost/asio.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "http/session.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {

namespace asio = boost::asio;
using asio::ip::tcp;

bool is_address(const std::string& bind) {
  boost::system::error_code error;
  asio::ip::make_address(bind, error);
  return !error;
}

class Server::Impl {
 public:
  explicit Impl(ServerConfig config)
      : config_(std::move(config)),
        context_{config_, served_, active_requests_, metrics_, reader_.get_executor()},
        acceptor_(asio::make_strand(io_)) {}

  ~Impl() { stop(); }

  Status start() {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(config_.bind, error);
    const tcp::endpoint endpoint(address, static_cast<std::uint16_t>(config_.port));
    if (!error) acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return Error{
          Code::kUnavailable,
          concat("cannot listen on ", config_.bind, ":", config_.port, ": ", error.message()),
          "server.port"};
    }
    port_ = acceptor_.local_endpoint().port();
    asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached);
    for (int i = 0; i < config_.threads; ++i) {
      threads_.emplace_back([this] { io_.run(); });
    }
    return {};
  }

  void serve(Served served) {
    metrics_.tell_build(config_.version, served.api.model.id);
    served_.store(&storage_.emplace(std::move(served)), std::memory_order_release);
  }

  void stop_accepting() {
    asio::post(acceptor_.get_executor(), [this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
    });
  }

  void stop() {
    io_.stop();
    reader_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    reader_.join();
  }

  std::uint16_t port() const { return port_; }
  int active_requests() const { return active_requests_; }

 private:
  asio::awaitable<void> accept() {
    while (acceptor_.is_open()) {
      auto [error, socket] = co_await acceptor_.async_accept(asio::make_strand(io_),
                                                             asio::as_tuple(asio::use_awaitable));
      if (error) {  // for example, no file descriptors are left; closed connections free some
        asio::steady_timer pause(acceptor_.get_executor(), std::chrono::milliseconds(50));
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        continue;
      }
      if (connections_ >= config_.max_connections) continue;  // dropped: above the configured limit
      boost::system::error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      ++connections_;
      const auto executor = socket.get_executor();
      asio::co_spawn(executor,
                     serve_connection(std::move(socket), context_),
                     [this](const std::exception_ptr& failure) {
                       --connections_;
                       if (failure) log_warning("a connection ended by an exception");
                     });
    }
  }

  const ServerConfig config_;
  std::optional<Served> storage_;
  std::atomic<const Served*> served_{nullptr};  // points to storage_ once it is set
  std::atomic<int> active_requests_{0};
  std::atomic<int> connections_{0};
  ServerMetrics metrics_;
  asio::io_context io_;
  asio::thread_pool reader_{1};  // destroyed before io_, whose sockets its work may hold
  const SessionContext context_;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  std::vector<std::thread> threads_;
};

Server::Server(ServerConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Server::~Server() = default;

Status Server::start() {
  return impl_->start();
}
void Server::serve(Served served) {
  impl_->serve(std::move(served));
}
std::uint16_t Server::port() const {
  return impl_->port();
}
void Server::stop_accepting() {
  impl_->stop_accepting();
}
int Server::active_requests() const {
  return impl_->active_requests();
}
void Server::stop() {
  impl_->stop();
}

}  // namespace rubato
