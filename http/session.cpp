#include "http/session.h"

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <deque>

#include "http/connection.h"
#include "http/openai/error.h"
#include "http/openai/json_text.h"
#include "http/openai/response.h"
#include "http/openai/stream.h"
#include "http/openai/tokenize.h"
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

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

/// The news of one request's generations, from the engine's thread to the session's strand.
struct Inbox : std::enable_shared_from_this<Inbox> {
  explicit Inbox(const asio::any_io_executor& executor) : strand(executor), wake(executor) {
    wake.expires_at(asio::steady_timer::time_point::max());
  }

  /// Keeps the inbox no longer than the session does: the engine may hold a sink for a while.
  UpdateSink sink(std::size_t choice) {
    return [weak = weak_from_this(), choice](const GenerationUpdate& update) {
      const std::shared_ptr<Inbox> self = weak.lock();
      if (!self) return;
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

/// Counts itself for as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<int>& count_;
};

class Session {
 public:
  Session(asio::ip::tcp::socket socket, const SessionContext& context)
      : connection_(std::make_shared<Connection>(std::move(socket), context.config)),
        context_(context) {}

  awaitable<void> run() {
    bool goes_on = true;
    while (goes_on) goes_on = co_await serve_one();
    co_await connection_->close();
  }

 private:
  // What g++ 12 compiles wrongly, destroying objects twice: co_await with a braced list among its
  // arguments, and co_await in the condition of a loop. Neither is used here.

  /// Reads and answers one request; whether the connection goes on.
  awaitable<bool> serve_one() {
    request_ = {};
    stream_begun_ = false;
    const std::optional<Refusal> refusal = co_await connection_->read(request_);
    if (!refusal) {
      const bool written = co_await answer();
      co_return written && connection_->stays_open();
    }
    if (refusal->status != 0) co_await send_error(refusal->status, refusal->error);
    co_return false;
  }

  /// Whether the answer was written.
  awaitable<bool> answer() {
    try {
      co_return co_await route();
    } catch (const std::exception& failure) {
      log_error(concat("a request failed: ", failure.what()));
    }
    connection_->stop_watching();
    connection_->close_after_answer();
    if (stream_begun_) co_return false;
    const Error error{Code::kInternal, "the server failed to answer this request"};
    co_return co_await send_error(500, error);
  }

  awaitable<bool> route() {
    const std::string path = path_of(request_.target());
    const PostRoute post = post_route(path);
    if (post != PostRoute::kNone) {
      if (request_.method() != http::verb::post) co_return co_await send_method_error("POST");
      co_return co_await answer_post(post);
    }
    const std::optional<json::value> found = look_up(path);
    if (!found) {
      const Error error = nothing_at(path);
      co_return co_await send_error(error);
    }
    if (request_.method() != http::verb::get && request_.method() != http::verb::head)
      co_return co_await send_method_error("GET, HEAD");
    if (path == "/health" && !context_.client.status().ready) {
      const Error error{
          Code::kUnavailable,
          "the server takes no requests: it is shutting down, or a rank does not answer"};
      co_return co_await send_error(error);
    }
    co_return co_await send_json(200, *found);
  }

  static Error nothing_at(const std::string& path) {
    constexpr std::string_view kModel = "/v1/models/";
    if (path.starts_with(kModel)) return unknown_model(path.substr(kModel.size()));
    return {Code::kNotFound, concat("there is nothing at ", path.substr(0, 80))};
  }

  std::optional<json::value> look_up(const std::string& path) const {
    if (path == "/health") return json::object{{"status", "ready"}};
    if (path == "/health/live") return json::object{{"status", "live"}};
    if (path == "/load") return load();
    if (path == "/version") return json::object{{"version", context_.config.version}};
    if (path == "/v1/models")
      return json::object{{"object", "list"}, {"data", json::array{make_model(context_.model)}}};
    if (path == "/v1/models/" + context_.model.id) return make_model(context_.model);
    return std::nullopt;
  }

  json::object load() const {
    const EngineStatus status = context_.client.status();
    return {{"server_load", context_.active_requests.load()},
            {"running", status.running},
            {"waiting", status.waiting},
            {"cache_tokens_used", status.cache_tokens_used},
            {"cache_tokens_total", status.cache_tokens_total}};
  }

  enum class PostRoute { kNone, kChat, kCompletion, kTokenize, kDetokenize };

  static PostRoute post_route(std::string_view path) {
    if (path == "/v1/chat/completions") return PostRoute::kChat;
    if (path == "/v1/completions") return PostRoute::kCompletion;
    if (path == "/tokenize") return PostRoute::kTokenize;
    if (path == "/detokenize") return PostRoute::kDetokenize;
    return PostRoute::kNone;
  }

  Result<json::object> parse_body() const {
    json::parse_options options;
    options.max_depth = static_cast<std::size_t>(context_.config.max_json_depth);
    boost::system::error_code code;
    json::value body = json::parse(request_.body(), code, {}, options);
    if (code)
      return Error{Code::kInvalidArgument,
                   concat("the body is not JSON that can be read: ", code.message())};
    if (!body.is_object()) return Error{Code::kInvalidArgument, "the body must be a JSON object"};
    return std::move(body.get_object());
  }

  bool has_json_body() const {
    const std::string_view type = request_[http::field::content_type];
    return beast::iequals(type.substr(0, type.find_first_of("; \t")), "application/json");
  }

  awaitable<bool> answer_post(PostRoute route) {
    if (!has_json_body()) {
      const Error error{Code::kInvalidArgument, "Content-Type must be application/json"};
      co_return co_await send_error(415, error);
    }
    const Result<json::object> body = parse_body();
    if (!body) co_return co_await send_error(body.error());
    const ApiContext api{context_.model,
                         context_.tokenizer,
                         context_.chat_template ? &*context_.chat_template : nullptr,
                         context_.defaults};
    if (route == PostRoute::kTokenize || route == PostRoute::kDetokenize) {
      const auto found =
          route == PostRoute::kTokenize ? tokenize(*body, api) : detokenize(*body, api);
      if (!found) co_return co_await send_error(found.error());
      co_return co_await send_json(200, *found);
    }
    Result<ApiRequest> parsed = route == PostRoute::kChat ? parse_chat_request(*body, api)
                                                          : parse_completion_request(*body, api);
    if (!parsed) co_return co_await send_error(parsed.error());
    co_return co_await complete(*parsed);
  }

  awaitable<bool> complete(const ApiRequest& request) {
    const auto inbox = std::make_shared<Inbox>(connection_->strand());
    std::vector<GenerationHandle> handles;
    for (const GenerationRequest& choice : request.choices) {
      Result<GenerationHandle> handle = context_.client.submit(choice, inbox->sink(handles.size()));
      if (!handle) co_return co_await send_error(handle.error());
      handles.push_back(std::move(handle).value());
    }
    const Counted active(context_.active_requests);
    // A client that leaves frees its places in the engine at once.
    connection_->watch([inbox] {
      inbox->client_gone = true;
      inbox->wake.cancel();
    });
    const bool written = request.stream ? co_await stream(request, *inbox, handles)
                                        : co_await collect(request, *inbox, handles);
    connection_->stop_watching();
    co_return written;
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
                          std::vector<GenerationHandle>& handles) {
    std::vector<Answer> answers;
    for (std::size_t i = 0; i < handles.size(); ++i)
      answers.push_back(request.new_answer(i, context_.tokenizer));
    while (std::ranges::any_of(answers, [](const Answer& a) { return !a.complete(); })) {
      const auto news = co_await next_news(inbox);
      if (!news) co_return false;
      const auto& [choice, update] = *news;
      if (answers[choice].complete()) continue;
      if (update.error) co_return co_await send_error(*update.error);
      answers[choice].add(update);
      if (answers[choice].complete()) handles[choice].cancel();
    }
    const json::object response =
        make_response(make_head(request, context_.model), request, answers);
    co_return co_await send_json(200, response);
  }

  awaitable<bool> stream(const ApiRequest& request,
                         Inbox& inbox,
                         std::vector<GenerationHandle>& handles) {
    AnswerStream stream(request, context_.model, context_.tokenizer);
    std::optional<Error> failure;
    const bool begun_well = co_await begin_stream();
    if (!begun_well) co_return false;
    while (!stream.complete() && !failure) {
      const auto news = co_await next_news(inbox);
      if (!news) co_return false;
      const auto& [choice, update] = *news;
      if (stream.answers()[choice].complete()) continue;
      failure = update.error;
      if (failure) continue;
      std::string events = stream.add(choice, update);
      if (stream.answers()[choice].complete()) handles[choice].cancel();
      if (events.empty()) continue;
      const bool written = co_await connection_->send_part(std::move(events));
      if (!written) co_return false;
    }
    const bool written = co_await connection_->send_part(stream.end(failure));
    if (!written) co_return false;
    co_return co_await connection_->end_stream();
  }

  awaitable<bool> begin_stream() {
    StreamHeader header(http::status::ok, 11);
    set_common(header);
    header.set(http::field::content_type, "text/event-stream; charset=utf-8");
    header.set(http::field::cache_control, "no-cache");
    stream_begun_ = true;
    return connection_->begin_stream(std::move(header));
  }

  template <class Body>
  void set_common(http::response<Body>& response) {
    response.set(http::field::server, "rubato");
    std::string id(request_["X-Request-Id"].substr(0, 128));
    const bool printable = std::ranges::all_of(id, [](char c) { return c > ' ' && c < 0x7f; });
    static std::atomic<std::uint64_t> next_id{1};
    if (id.empty() || !printable) id = concat("req-", next_id++);
    response.set("X-Request-Id", id);
  }

  awaitable<bool> send_error(const Error& error) { return send_error(http_status(error), error); }

  awaitable<bool> send_error(int status, const Error& error) {
    HttpResponse response = make(status, make_error(error));
    if (status == 429 || status == 503) response.set(http::field::retry_after, "1");
    return connection_->send(std::move(response));
  }

  awaitable<bool> send_method_error(const char* allowed) {
    HttpResponse response =
        make(405, make_error({Code::kInvalidArgument, concat("the method must be ", allowed)}));
    response.set(http::field::allow, allowed);
    return connection_->send(std::move(response));
  }

  awaitable<bool> send_json(int status, const json::value& body) {
    return connection_->send(make(status, body));
  }

  HttpResponse make(int status, const json::value& body) {
    HttpResponse response(static_cast<http::status>(status), 11);
    set_common(response);
    response.set(http::field::content_type, "application/json");
    response.body() = to_json(body);
    response.prepare_payload();
    return response;
  }

  const std::shared_ptr<Connection> connection_;
  const SessionContext& context_;
  HttpRequest request_;
  bool stream_begun_ = false;
};

}  // namespace

awaitable<void> serve_connection(asio::ip::tcp::socket socket, const SessionContext& context) {
  Session session(std::move(socket), context);
  co_await session.run();
}

}  // namespace rubato
