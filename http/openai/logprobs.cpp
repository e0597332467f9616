#include "http/openai/logprobs.h"

#include <algorithm>
#include <boost/json.hpp>

namespace rubato {
namespace {

namespace json = boost::json;

/// OpenAI's value for a token with no noticeable probability; JSON has no infinity.
constexpr double kLeastLogprob = -9999.0;

double shown(double logprob) {
  return std::max(logprob, kLeastLogprob);
}

json::object chat_entry(const Tokenizer& tokenizer, TokenId id, double logprob) {
  const std::string_view bytes = tokenizer.token_bytes(id);
  json::array numbers;
  for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
  return {
      {"token", to_valid_utf8(bytes)}, {"logprob", shown(logprob)}, {"bytes", std::move(numbers)}};
}

json::object chat_entry(const Tokenizer& tokenizer, TokenId id, const CommitLogprobs& said) {
  json::object entry = chat_entry(tokenizer, id, said.logprob);
  json::array top;
  for (const auto& [token, logprob] : said.top)
    top.push_back(chat_entry(tokenizer, token, logprob));
  entry["top_logprobs"] = std::move(top);
  return entry;
}

json::object chat_logprobs(const Answer& answer, std::size_t begin, std::size_t end) {
  json::array content;
  for (std::size_t i = begin; i < end; ++i)
    content.push_back(chat_entry(answer.tokenizer(), answer.token_ids()[i], answer.logprobs()[i]));
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

/// A token's name: its text, or, if that is only part of a character, its bytes spelled out, so
/// that no two tokens have the same name.
std::string token_name(const Tokenizer& tokenizer, TokenId id) {
  static constexpr char kHex[] = "0123456789abcdef";
  const std::string_view bytes = tokenizer.token_bytes(id);
  std::string text = to_valid_utf8(bytes);
  if (text == bytes) return text;
  text = "bytes:";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
  }
  return text;
}

std::ptrdiff_t count_characters(std::string_view utf8) {
  return std::ranges::count_if(utf8, [](char c) { return (c & 0xc0) != 0x80; });
}

json::object completion_logprobs(const Answer& answer, std::size_t begin, std::size_t end) {
  json::array tokens, logprobs, top, offsets;
  std::size_t at = 0;
  std::ptrdiff_t offset = 0;  // in characters, of byte `at`
  for (std::size_t i = begin; i < end; ++i) {
    const CommitLogprobs& said = answer.logprobs()[i];
    const std::string name = token_name(answer.tokenizer(), answer.token_ids()[i]);
    json::object best;
    for (const auto& [token, logprob] : said.top)
      best[token_name(answer.tokenizer(), token)] = shown(logprob);
    best[name] = shown(said.logprob);
    const std::size_t text_begin = answer.text_begin(i);
    offset += count_characters(std::string_view(answer.text()).substr(at, text_begin - at));
    at = text_begin;
    tokens.emplace_back(name);
    logprobs.emplace_back(shown(said.logprob));
    top.push_back(std::move(best));
    offsets.emplace_back(offset);
  }
  return {{"tokens", std::move(tokens)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

}  // namespace

json::value make_logprobs(const ApiRequest& request,
                          const Answer& answer,
                          std::size_t begin,
                          std::size_t end) {
  if (answer.logprobs().empty() || begin == end) return nullptr;
  return request.chat ? chat_logprobs(answer, begin, end) : completion_logprobs(answer, begin, end);
}

json::array make_commit_logprobs(const StepTrace& step, const Answer& answer) {
  json::array entries;
  for (const Commit& commit : step.committed)
    entries.push_back(
        chat_entry(answer.tokenizer(), commit.token, answer.logprobs_at(commit.position)));
  return entries;
}

}  // namespace rubato
