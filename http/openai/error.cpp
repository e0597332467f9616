#include "http/openai/error.h"

#include <boost/json.hpp>

#include "http/openai/json_text.h"

namespace rubato {

namespace json = boost::json;

int http_status(const Error& error) {
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kTooLong:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kNotFound:
      return 404;
    case Code::kOverloaded:
      return 429;
    case Code::kDeadline:
      return 408;
    case Code::kUnavailable:
      return 503;
    case Code::kInternal:
      return 500;
  }
  return 500;
}

json::object make_error(const Error& error) {
  const int status = http_status(error);
  json::value code = nullptr;
  if (error.code == Code::kTooLong) code = "context_length_exceeded";
  if (error.code == Code::kNotFound && error.param == "model") code = "model_not_found";
  if (error.code == Code::kUnauthenticated) code = "invalid_api_key";
  const char* type = status == 401   ? "authentication_error"
                     : status == 429 ? "rate_limit_error"
                     : status >= 500 ? "server_error"
                                     : "invalid_request_error";
  const json::value param =
      error.param.empty() ? nullptr : json::value(bounded_utf8(error.param, 200));
  return {{"error",
           {{"message", bounded_utf8(error.message, 1500)},
            {"type", type},
            {"param", param},
            {"code", std::move(code)}}}};
}

}  // namespace rubato
