#include "http/openai/answer_fields.h"

#include "http/openai/prompt_fields.h"

namespace rubato {
namespace {

namespace json = boost::json;

/// Every choice stores the stop strings, and holds back as much text as could start one.
constexpr std::size_t kMostStopBytes = 4096;

std::vector<std::string> read_stop(const Fields& body) {
  const auto* value = body.find("stop");
  if (value == nullptr) return {};
  std::vector<std::string> stop;
  if (value->is_string()) {
    stop.emplace_back(value->get_string());
  } else if (value->is_array() && value->get_array().size() <= 4) {
    for (const json::value& one : value->get_array()) {
      if (!one.is_string()) reject("stop", "`stop` must be a string or a list of up to 4 strings");
      stop.emplace_back(one.get_string());
    }
  } else {
    reject("stop", "`stop` must be a string or a list of up to 4 strings");
  }
  for (const std::string& one : stop) {
    if (one.size() > kMostStopBytes)
      reject("stop",
             concat("`stop` has a string of ",
                    one.size(),
                    " bytes; at most ",
                    kMostStopBytes,
                    " are allowed"));
  }
  std::erase(stop, "");
  return stop;
}

std::vector<TokenId> read_stop_token_ids(const Fields& body, const ApiContext& context) {
  constexpr std::size_t kMost = 64;
  const auto* value = body.find("stop_token_ids");
  if (value == nullptr) return {};
  if (!value->is_array() || value->get_array().size() > kMost)
    reject("stop_token_ids", concat("`stop_token_ids` must be a list of up to ", kMost, " ids"));
  return read_token_ids(value->get_array(), "stop_token_ids", context);
}

}  // namespace

AnswerOptions read_answer_options(const Fields& body, const ApiContext& context) {
  AnswerOptions options;
  options.stop = read_stop(body);
  if (!body.boolean("ignore_eos", false)) options.stop_ids = context.model.stop_ids;
  const std::vector<TokenId> more = read_stop_token_ids(body, context);
  options.stop_ids.insert(options.stop_ids.end(), more.begin(), more.end());
  options.include_stop = body.boolean("include_stop_str_in_output", false);
  options.min_tokens = static_cast<int>(body.integer("min_tokens", 0, kMostTokens).value_or(0));
  options.skip_special = body.boolean("skip_special_tokens", true);
  return options;
}

}  // namespace rubato
