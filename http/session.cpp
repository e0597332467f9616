#include "http/session.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <deque>

#include "http/openai/response.h"
#include "http/request_checks.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using asio::awaitable;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

/// The news of one request's generations, from the engine's thread to the session's strand.
struct Inbox : std::enable_shared_from_this<Inbox> {
  explicit Inbox(asio::any_io_executor executor) : strand(executor), wake(executor) {
    wake.expires_at(asio::steady_timer::time_point::max());
  }

  UpdateSink sink(std::size_t choice) {
    return [self = shared_from_this(), choice](const GenerationUpdate& update) {
      asio::post(self->strand, [self, choice, update] {
        self->news.emplace_back(choice, update);
        self->wake.cancel();
      });
    };
  }

  asio::any_io_executor strand;
  asio::steady_timer wake;
  std::deque<std::pair<std::size_t, GenerationUpdate>> news;
  bool client_gone = false;
};

class Session {
 public:
  Session(asio::ip::tcp::socket socket, const SessionContext& context)
      : stream_(std::move(socket)), context_(context) {}

  awaitable<void> run() {
    for (bool first = true; co_await serve_one(first); first = false) {
    }
    boost::system::error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  }

 private:
  /// Reads and answers one request; whether the connection goes on.
  awaitable<bool> serve_one(bool first) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(context_.config.max_header_bytes));
    parser.body_limit(static_cast<std::uint64_t>(context_.config.max_body_bytes));
    stream_.expires_after(std::chrono::seconds(first ? context_.config.request_timeout_s
                                                     : context_.config.idle_timeout_s));
    if (buffer_.size() == 0 &&
        !first) {  // waiting for a further request is not being slow with one
      auto [error, count] = co_await stream_.async_read_some(buffer_.prepare(4096), kAwait);
      if (error) co_return false;
      buffer_.commit(count);
      stream_.expires_after(std::chrono::seconds(context_.config.request_timeout_s));
    }
    if (auto [error, count] = co_await http::async_read_header(stream_, buffer_, parser, kAwait);
        error) {
      co_return co_await refuse_reading(error);
    }
    if (const std::string fault =
            header_fault(parser.get().base(), context_.config.max_header_fields);
        !fault.empty()) {
      close_ = true;
      co_return co_await send_error(400, {Code::kInvalidArgument, fault});
    }
    if (parser.get()[http::field::expect] == "100-continue") {
      Response go_on{http::status::continue_, 11};
      co_await http::async_write(stream_, go_on, kAwait);
    }
    if (auto [error, count] = co_await http::async_read(stream_, buffer_, parser, kAwait); error) {
      co_return co_await refuse_reading(error);
    }
    stream_.expires_never();
    request_ = parser.release();
    close_ = !request_.keep_alive();
    co_return co_await route();
  }

  awaitable<bool> refuse_reading(beast::error_code error) {
    close_ = true;
    if (error == beast::error::timeout)
      co_return co_await send_error(408, {Code::kDeadline, "the request took too long to arrive"});
    if (error == http::error::body_limit) {
      co_return co_await send_error(
          413,
          {Code::kInvalidArgument,
           concat("the body is larger than ", context_.config.max_body_bytes, " bytes")});
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      co_return co_await send_error(
          431,
          {Code::kInvalidArgument,
           concat("the header is larger than ", context_.config.max_header_bytes, " bytes")});
    }
    if (error.category() == http::make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      co_return co_await send_error(
          400, {Code::kInvalidArgument, concat("malformed HTTP: ", error.message())});
    }
    co_return false;
  }

  awaitable<bool> route() {
    const std::string target(request_.target().substr(0, request_.target().find('?')));
    const bool chat = target == "/v1/chat/completions";
    if (chat || target == "/v1/completions") {
      if (request_.method() != http::verb::post) co_return co_await send_method_error("POST");
      co_return co_await complete(chat);
    }
    const std::optional<json::value> found = look_up(target);
    if (!found)
      co_return co_await send_error(404,
                                    {Code::kNotFound,
                                     concat("there is nothing at ", target.substr(0, 80)),
                                     target == "/v1/models" ? "model" : ""});
    if (request_.method() != http::verb::get) co_return co_await send_method_error("GET");
    const bool ready = target != "/health" || context_.client.status().ready;
    co_return co_await send_json(ready ? 200 : 503, *found);
  }

  std::optional<json::value> look_up(const std::string& target) const {
    if (target == "/health")
      return json::object{{"status", context_.client.status().ready ? "ready" : "not ready"}};
    if (target == "/health/live") return json::object{{"status", "live"}};
    if (target == "/version") return json::object{{"version", context_.config.version}};
    if (target == "/v1/models")
      return json::object{{"object", "list"}, {"data", json::array{make_model(context_.model)}}};
    if (target == "/v1/models/" + context_.model.id) return make_model(context_.model);
    return std::nullopt;
  }

  Result<ApiRequest> parse(bool chat) const {
    json::parse_options options;
    options.max_depth = static_cast<std::size_t>(context_.config.max_json_depth);
    boost::system::error_code code;
    const json::value body = json::parse(request_.body(), code, {}, options);
    if (code)
      return Error{Code::kInvalidArgument,
                   concat("the body is not JSON that can be read: ", code.message())};
    if (!body.is_object()) return Error{Code::kInvalidArgument, "the body must be a JSON object"};
    const ApiContext api{context_.model,
                         context_.tokenizer,
                         context_.chat_template ? &*context_.chat_template : nullptr,
                         context_.defaults};
    return chat ? parse_chat_request(body.get_object(), api)
                : parse_completion_request(body.get_object(), api);
  }

  awaitable<bool> complete(bool chat) {
    const std::string type(request_[http::field::content_type]);
    if (!type.starts_with("application/json"))
      co_return co_await send_error(
          415, {Code::kInvalidArgument, "Content-Type must be application/json"});
    Result<ApiRequest> parsed = parse(chat);
    if (!parsed) co_return co_await send_error(http_status(parsed.error()), parsed.error());
    const auto inbox = std::make_shared<Inbox>(stream_.get_executor());
    std::vector<GenerationHandle> handles;
    std::vector<Answer> answers;
    for (const GenerationRequest& choice : parsed->choices) {
      Result<GenerationHandle> handle = context_.client.submit(choice, inbox->sink(handles.size()));
      if (!handle) co_return co_await send_error(http_status(handle.error()), handle.error());
      handles.push_back(std::move(handle).value());
      answers.emplace_back(context_.tokenizer, choice, context_.model.stop_ids, parsed->stop);
    }
    ++context_.active_requests;
    watch_client(inbox);
    const bool goes_on = parsed->stream ? co_await stream(*parsed, *inbox, handles, answers)
                                        : co_await collect(*parsed, *inbox, handles, answers);
    --context_.active_requests;
    boost::system::error_code ignored;
    stream_.socket().cancel(ignored);  // ends watching
    co_return goes_on;
  }

  /// Notices that the client has gone while its answer is made, so that its slots are freed at
  /// once.
  void watch_client(std::shared_ptr<Inbox> inbox) {
    auto& socket = stream_.socket();
    socket.async_wait(asio::ip::tcp::socket::wait_read, [inbox, &socket](beast::error_code error) {
      if (error) return;
      char byte = 0;
      if (::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
        return;  // a further request, early
      inbox->client_gone = true;
      inbox->wake.cancel();
    });
  }

  /// The next piece of news, or nothing when the client has gone.
  static awaitable<std::optional<std::pair<std::size_t, GenerationUpdate>>> next_news(
      Inbox& inbox) {
    while (inbox.news.empty() && !inbox.client_gone) co_await inbox.wake.async_wait(kAwait);
    if (inbox.client_gone) co_return std::nullopt;
    auto news = std::move(inbox.news.front());
    inbox.news.pop_front();
    co_return news;
  }

  awaitable<bool> collect(const ApiRequest& request,
                          Inbox& inbox,
                          std::vector<GenerationHandle>& handles,
                          std::vector<Answer>& answers) {
    while (std::ranges::any_of(answers, [](const Answer& a) { return !a.complete(); })) {
      const auto news = co_await next_news(inbox);
      if (!news) co_return false;
      const auto& [choice, update] = *news;
      if (update.error) co_return co_await send_error(http_status(*update.error), *update.error);
      answers[choice].add(update);
      if (answers[choice].complete()) handles[choice].cancel();
    }
    co_return co_await send_json(
        200, make_response(make_head(request, context_.model), request, answers));
  }

  awaitable<bool> stream(const ApiRequest& request,
                         Inbox& inbox,
                         std::vector<GenerationHandle>& handles,
                         std::vector<Answer>& answers) {
    const ResponseHead head = make_head(request, context_.model);
    std::vector<bool> begun(answers.size(), false);
    if (!co_await send_stream_header()) co_return false;
    while (std::ranges::any_of(answers, [](const Answer& a) { return !a.complete(); })) {
      const auto news = co_await next_news(inbox);
      if (!news) co_return false;
      const auto& [choice, update] = *news;
      if (answers[choice].complete()) continue;
      if (update.error) {
        co_await send_event(json::serialize(make_error(*update.error)));
        break;
      }
      std::string events;
      const std::string text = answers[choice].add(update);
      if (update.trace && request.trace)
        events += event(make_trace_chunk(head, request, choice, *update.trace));
      if (request.chat && !begun[choice] && (!text.empty() || answers[choice].complete())) {
        events += event(make_text_chunk(head, request, choice, "", /*first=*/true));
        begun[choice] = true;
      }
      if (!text.empty())
        events += event(make_text_chunk(head, request, choice, text, /*first=*/false));
      if (answers[choice].complete()) {
        handles[choice].cancel();
        events += event(make_final_chunk(head, request, choice, answers[choice]));
      }
      if (!events.empty() && !co_await send_chunk(events)) co_return false;
    }
    std::string last = request.include_usage ? event(make_usage_chunk(head, request, answers)) : "";
    last += "data: [DONE]\n\n";
    if (!co_await send_chunk(last)) co_return false;
    auto [error, count] = co_await asio::async_write(stream_, http::make_chunk_last(), kAwait);
    co_return !error && !close_;
  }

  static std::string event(const json::object& chunk) {
    return "data: " + json::serialize(chunk) + "\n\n";
  }
  awaitable<bool> send_event(std::string data) {
    co_return co_await send_chunk("data: " + data + "\n\n");
  }

  awaitable<bool> send_chunk(std::string data) {
    stream_.expires_after(std::chrono::seconds(context_.config.request_timeout_s));
    auto [error, count] = co_await asio::async_write(
        stream_, http::make_chunk(asio::const_buffer(data.data(), data.size())), kAwait);
    stream_.expires_never();
    co_return !error;
  }

  awaitable<bool> send_stream_header() {
    http::response<http::empty_body> response{http::status::ok, 11};
    set_common(response);
    response.set(http::field::content_type, "text/event-stream; charset=utf-8");
    response.set(http::field::cache_control, "no-cache");
    response.chunked(true);
    http::response_serializer<http::empty_body> serializer(response);
    auto [error, count] = co_await http::async_write_header(stream_, serializer, kAwait);
    co_return !error;
  }

  template <class Body>
  void set_common(http::response<Body>& response) {
    response.set(http::field::server, "rubato");
    response.keep_alive(!close_);
    std::string id(request_["X-Request-Id"].substr(0, 128));
    const bool printable = std::ranges::all_of(id, [](char c) { return c > ' ' && c < 0x7f; });
    static std::atomic<std::uint64_t> next_id{1};
    if (id.empty() || !printable) id = concat("req-", next_id++);
    response.set("X-Request-Id", id);
  }

  awaitable<bool> send_error(int status, Error error) {
    Response response = make(status, make_error(error));
    if (status == 429 || status == 503) response.set(http::field::retry_after, "1");
    co_return co_await send(std::move(response));
  }

  awaitable<bool> send_method_error(const char* allowed) {
    Response response =
        make(405, make_error({Code::kInvalidArgument, concat("the method must be ", allowed)}));
    response.set(http::field::allow, allowed);
    co_return co_await send(std::move(response));
  }

  awaitable<bool> send_json(int status, json::value body) {
    co_return co_await send(make(status, body));
  }

  Response make(int status, const json::value& body) {
    Response response{static_cast<http::status>(status), 11};
    set_common(response);
    response.set(http::field::content_type, "application/json");
    response.body() = json::serialize(body);
    response.prepare_payload();
    return response;
  }

  awaitable<bool> send(Response response) {
    stream_.expires_after(std::chrono::seconds(context_.config.request_timeout_s));
    auto [error, count] = co_await http::async_write(stream_, response, kAwait);
    stream_.expires_never();
    co_return !error && !close_;
  }

  beast::tcp_stream stream_;
  const SessionContext& context_;
  beast::flat_buffer buffer_;
  Request request_;
  bool close_ = false;
};

}  // namespace

awaitable<void> serve_connection(asio::ip::tcp::socket socket, const SessionContext& context) {
  Session session(std::move(socket), context);
  co_await session.run();
}

}  // namespace rubato
