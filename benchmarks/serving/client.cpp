#include "benchmarks/serving/client.h"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "benchmarks/serving/answer_reader.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

http::request<http::string_body> make_request(const Endpoint& endpoint,
                                              const std::string& path,
                                              std::string json_body) {
  const http::verb verb = json_body.empty() ? http::verb::get : http::verb::post;
  http::request<http::string_body> request(verb, endpoint.address.prefix + path, 11);
  request.set(http::field::host, endpoint.address.host + ':' + endpoint.address.port);
  request.set(http::field::user_agent, "rubato-bench");
  request.keep_alive(false);
  if (!endpoint.key.empty()) request.set(http::field::authorization, "Bearer " + endpoint.key);
  if (!json_body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = std::move(json_body);
  request.prepare_payload();
  return request;
}

Error lost(std::string_view when, const beast::error_code& error) {
  if (error == beast::error::timeout) return {Code::kDeadline, "no answer in time"};
  return {Code::kUnavailable, concat(when, ": ", error.message())};
}

}  // namespace

Result<Endpoint> find_endpoint(ServerAddress address,
                               std::string key,
                               std::chrono::milliseconds timeout) {
  asio::io_context io;
  asio::ip::tcp::resolver resolver(io);
  beast::error_code error;
  auto addresses = resolver.resolve(address.host, address.port, error);
  if (error) {
    return Error{
        Code::kUnavailable,
        concat("cannot find ", address.host, " port ", address.port, ": ", error.message()),
        "--url"};
  }
  return Endpoint{std::move(address), std::move(addresses), std::move(key), timeout};
}

awaitable<Result<HttpReply>> exchange(const Endpoint& endpoint,
                                      std::string path,
                                      std::string json_body,
                                      BodySink sink) {
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_after(endpoint.timeout);
  auto [connect_error, where] = co_await stream.async_connect(endpoint.addresses, kAwait);
  if (connect_error) co_return lost("cannot connect", connect_error);
  beast::error_code ignored;
  stream.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto request = make_request(endpoint, path, std::move(json_body));
  auto [write_error, written] = co_await http::async_write(stream, request, kAwait);
  if (write_error) co_return lost("cannot send", write_error);

  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  auto [header_error, header_size] =
      co_await http::async_read_header(stream, buffer, parser, kAwait);
  if (header_error) co_return lost("no answer", header_error);
  const bool handed_on = sink && parser.get().result() == http::status::ok;
  while (!parser.is_done()) {
    auto [error, count] = co_await http::async_read_some(stream, buffer, parser, kAwait);
    if (error) co_return lost("the answer broke off", error);
    if (!handed_on) continue;
    sink(parser.get().body());
    parser.get().body().clear();
  }
  HttpReply reply{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
  co_return reply;
}

Result<std::string> fetch(const Endpoint& endpoint, const std::string& path) {
  asio::io_context io;
  Result<HttpReply> reply = HttpReply();
  const auto run = [&]() -> awaitable<void> {
    reply = co_await exchange(endpoint, path, std::string(), BodySink());
  };
  asio::co_spawn(io, run(), asio::detached);
  io.run();
  if (!reply) {
    return Error{
        reply.error().code,
        concat("no server answers at ", endpoint.address.url(), ": ", reply.error().message),
        "--url"};
  }
  if (reply->status == 200) return std::move(reply->body);
  return Error{Code::kUnavailable,
               concat("GET ",
                      endpoint.address.url(),
                      path,
                      " answered ",
                      reply->status,
                      ": ",
                      error_message(reply->body)),
               "--url"};
}

}  // namespace rubato
