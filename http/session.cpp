#include "http/session.h"

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <functional>
#include <variant>

#include "http/connection.h"
#include "http/inbox.h"
#include "http/openai/error.h"
#include "http/openai/json_text.h"
#include "http/openai/response.h"
#include "http/openai/stream.h"
#include "http/openai/tokenize.h"
#include "http/page.h"
#include "http/request_checks.h"
#include "http/routes.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using asio::awaitable;

/// Parsing and tokenizing more than this takes long enough to show in other connections' streams.
constexpr std::size_t kMostReadOnStrand = 16 << 10;

/// A comment, which readers of server-sent events skip.
constexpr std::string_view kHeartbeat = ": \n\n";

/// What a body asks for: generations, or a finished answer, as JSON.
using Asked = std::variant<ApiRequest, std::string>;

/// Counts one active request while it exists.
class ActiveRequest {
 public:
  explicit ActiveRequest(std::atomic<int>& count) : count_(count) { ++count_; }
  ~ActiveRequest() { --count_; }
  ActiveRequest(const ActiveRequest&) = delete;
  ActiveRequest& operator=(const ActiveRequest&) = delete;

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

  /// Reads and answers one request. Returns whether the connection stays open.
  awaitable<bool> serve_one() {
    request_ = {};
    stream_begun_ = false;
    const std::optional<Refusal> refusal = co_await connection_->read(request_);
    arrived_ = GenerationTimes::Clock::now();
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
    if (request_.method() == http::verb::options && context_.config.cross_origin.open())
      co_return co_await send_preflight();
    const std::string path = path_of(request_.target());
    const PathEntry& entry = find_path(path);
    served_ = context_.served.load(std::memory_order_acquire);
    if (served_ == nullptr) {
      Result<Plain> plain = answer_while_loading(entry.route, context_);
      if (!plain) co_return co_await send_error(plain.error());
      if (!reads()) co_return co_await send_method_error("GET, HEAD");
      co_return co_await send(*std::move(plain));
    }
    const Status found = check_path(path, entry, served_->api.model.id);
    if (!found) co_return co_await send_error(found.error());
    if (entry.takes_body) {
      if (request_.method() != http::verb::post) co_return co_await send_method_error("POST");
      co_return co_await answer_body(entry.route);
    }
    if (!reads()) co_return co_await send_method_error("GET, HEAD");
    if (entry.route == Route::kPage) co_return co_await send_page(*find_page_file(path));
    Result<Plain> plain = answer_plain(entry.route, context_, *served_);
    if (!plain) co_return co_await send_error(plain.error());
    co_return co_await send(*std::move(plain));
  }

  bool reads() const {
    return request_.method() == http::verb::get || request_.method() == http::verb::head;
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

  awaitable<bool> answer_body(Route route) {
    if (!has_json_body()) {
      const Error error{Code::kInvalidArgument, "Content-Type must be application/json"};
      co_return co_await send_error(415, error);
    }
    std::optional<Result<Asked>> asked;
    if (request_.body().size() > kMostReadOnStrand) {
      const auto read = [&] { asked = parse_request(route); };
      awaitable<void> reading = run_once(read);
      co_await asio::co_spawn(context_.reader, std::move(reading), asio::use_awaitable);
    } else {
      asked = parse_request(route);
    }
    std::string().swap(request_.body());  // answering may take long and does not need it
    if (!*asked) co_return co_await send_error(asked->error());
    if (auto* known = std::get_if<std::string>(&**asked)) {
      Plain plain{"application/json", std::move(*known)};
      co_return co_await send(std::move(plain));
    }
    co_return co_await complete(std::get<ApiRequest>(**asked));
  }

  static awaitable<void> run_once(std::function<void()> work) {
    work();
    co_return;
  }

  /// Uses only the request and what all sessions share: any thread.
  Result<Asked> parse_request(Route route) const {
    const Result<json::object> body = parse_body();
    if (!body) return body.error();
    const ApiContext& api = served_->api;
    if (route == Route::kTokenize || route == Route::kDetokenize) {
      const auto found = route == Route::kTokenize ? tokenize(*body, api) : detokenize(*body, api);
      if (!found) return found.error();
      return Asked(to_json(*found));
    }
    Result<ApiRequest> request = route == Route::kChat ? parse_chat_request(*body, api)
                                                       : parse_completion_request(*body, api);
    if (!request) return request.error();
    return Asked(*std::move(request));
  }

  awaitable<bool> complete(const ApiRequest& request) {
    const auto inbox = std::make_shared<Inbox>(connection_->strand());
    std::vector<GenerationHandle> handles;
    for (const GenerationRequest& choice : request.choices) {
      Result<GenerationHandle> handle = served_->client.submit(choice, inbox->sink(handles.size()));
      if (!handle) co_return co_await send_error(handle.error());
      handles.push_back(std::move(handle).value());
    }
    const ActiveRequest active(context_.active_requests);
    GenerationTimes times(context_.metrics, handles.size(), arrived_);
    // When the client disconnects, its slots in the engine are freed at once.
    connection_->watch([inbox] { inbox->leave(); });
    const bool written = request.stream ? co_await stream(request, *inbox, handles, times)
                                        : co_await collect(request, *inbox, handles, times);
    connection_->stop_watching();
    co_return written;
  }

  awaitable<bool> collect(const ApiRequest& request,
                          Inbox& inbox,
                          std::vector<GenerationHandle>& handles,
                          GenerationTimes& times) {
    std::vector<Answer> answers;
    for (std::size_t i = 0; i < handles.size(); ++i)
      answers.push_back(request.new_answer(i, served_->api.tokenizer));
    while (std::ranges::any_of(answers, [](const Answer& a) { return !a.complete(); })) {
      const std::optional<Inbox::News> news = co_await inbox.next();
      if (!news) co_return false;
      Answer& answer = answers[news->choice];
      if (answer.complete()) continue;
      if (news->update.error) {
        times.fail();
        co_return co_await send_error(*news->update.error);
      }
      answer.add(news->update);
      times.note(news->choice, answer);
      if (answer.complete()) handles[news->choice].cancel();
    }
    const json::object response =
        make_response(make_head(request, served_->api.model), request, answers);
    co_return co_await send_json(200, response);
  }

  awaitable<bool> stream(const ApiRequest& request,
                         Inbox& inbox,
                         std::vector<GenerationHandle>& handles,
                         GenerationTimes& times) {
    AnswerStream stream(request, served_->api.model, served_->api.tokenizer);
    std::optional<Error> failure;
    const bool begun_well = co_await begin_stream();
    if (!begun_well) co_return false;
    auto next_heartbeat = heartbeat_from_now();
    while (!stream.complete() && !failure) {
      const bool comes = co_await inbox.comes_by(next_heartbeat);
      if (!comes) {
        if (!connection_->send_part(kHeartbeat)) co_return false;
        next_heartbeat = heartbeat_from_now();
        continue;
      }
      const std::optional<Inbox::News> news = co_await inbox.next();
      if (!news) co_return false;
      const Answer& answer = stream.answers()[news->choice];
      if (answer.complete()) continue;
      failure = news->update.error;
      if (failure) continue;
      const std::string events = stream.add(news->choice, news->update);
      times.note(news->choice, answer);
      if (answer.complete()) handles[news->choice].cancel();
      if (events.empty()) continue;
      if (!connection_->send_part(events)) co_return false;
      next_heartbeat = heartbeat_from_now();
    }
    if (failure) times.fail();
    if (!connection_->send_part(stream.end(failure))) co_return false;
    co_return co_await connection_->end_stream();
  }

  asio::steady_timer::time_point heartbeat_from_now() const {
    const std::chrono::milliseconds silence = context_.config.stream_heartbeat;
    return silence.count() == 0 ? asio::steady_timer::time_point::max()
                                : asio::steady_timer::clock_type::now() + silence;
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
    context_.metrics.count_answer(path_of(request_.target()), response.result_int());
    context_.config.cross_origin.permit(request_, response);
  }

  awaitable<bool> send_error(const Error& error) { return send_error(http_status(error), error); }

  awaitable<bool> send_error(int status, const Error& error) {
    HttpResponse response = make(status, make_error(error));
    if (status == 429 || status == 503) response.set(http::field::retry_after, "1");
    if (status == 401) response.set(http::field::www_authenticate, "Bearer");
    return connection_->send(std::move(response));
  }

  awaitable<bool> send_preflight() {
    HttpResponse response(http::status::no_content, 11);
    set_common(response);
    context_.config.cross_origin.permit_preflight(request_, response);
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

  awaitable<bool> send(Plain plain) {
    return connection_->send(make(200, plain.content_type, std::move(plain.body)));
  }

  awaitable<bool> send_page(const PageFile& file) {
    const bool current = is_current(file, request_[http::field::if_none_match]);
    HttpResponse response(current ? http::status::not_modified : http::status::ok, 11);
    set_common(response);
    set_page_fields(file, response);
    if (!current) {
      response.body() = file.body;
      response.prepare_payload();
    }
    return connection_->send(std::move(response));
  }

  HttpResponse make(int status, const json::value& body) {
    return make(status, "application/json", to_json(body));
  }

  HttpResponse make(int status, std::string_view content_type, std::string body) {
    HttpResponse response(static_cast<http::status>(status), 11);
    set_common(response);
    response.set(http::field::content_type, content_type);
    response.body() = std::move(body);
    response.prepare_payload();
    return response;
  }

  const std::shared_ptr<Connection> connection_;
  const SessionContext& context_;
  const Served* served_ = nullptr;  // when the request was routed
  HttpRequest request_;
  GenerationTimes::Clock::time_point arrived_;  // when the whole request had arrived
  bool stream_begun_ = false;
};

}  // namespace

awaitable<void> serve_connection(asio::ip::tcp::socket socket, const SessionContext& context) {
  Session session(std::move(socket), context);
  co_await session.run();
}

}  // namespace rubato
