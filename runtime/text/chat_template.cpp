#include "runtime/text/chat_template.h"

#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

/// The white space that Python's str.strip() and Jinja's trim remove.
std::string_view stripped(std::string_view text) {
  static constexpr std::string_view kSpaces[] = {" ",
                                                 "\t",
                                                 "\n",
                                                 "\v",
                                                 "\f",
                                                 "\r",
                                                 "\x1c",
                                                 "\x1d",
                                                 "\x1e",
                                                 "\x1f",
                                                 "\xc2\x85",
                                                 "\xc2\xa0",
                                                 "\xe1\x9a\x80",
                                                 "\xe2\x80\x80",
                                                 "\xe2\x80\x81",
                                                 "\xe2\x80\x82",
                                                 "\xe2\x80\x83",
                                                 "\xe2\x80\x84",
                                                 "\xe2\x80\x85",
                                                 "\xe2\x80\x86",
                                                 "\xe2\x80\x87",
                                                 "\xe2\x80\x88",
                                                 "\xe2\x80\x89",
                                                 "\xe2\x80\x8a",
                                                 "\xe2\x80\xa8",
                                                 "\xe2\x80\xa9",
                                                 "\xe2\x80\xaf",
                                                 "\xe2\x81\x9f",
                                                 "\xe3\x80\x80"};
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view space : kSpaces) {
      if (text.starts_with(space)) text.remove_prefix(space.size()), more = true;
      if (text.ends_with(space)) text.remove_suffix(space.size()), more = true;
    }
  }
  return text;
}

/// The strings by which LLaDA's template is recognised, ignoring white space.
bool is_llada(std::string_view text) {
  for (const char* mark : {"<|start_header_id|>",
                           "<|end_header_id|>",
                           "<|eot_id|>",
                           "bos_token",
                           "| trim",
                           "loop.index0 == 0"}) {
    if (text.find(mark) == std::string_view::npos) return false;
  }
  return text.find("tool") == std::string_view::npos &&
         text.find("strftime") == std::string_view::npos;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::load(const std::filesystem::path& folder,
                                        const Tokenizer& tokenizer) {
  const auto file = folder / "tokenizer_config.json";
  const auto error = [&](const char* what) {
    return Error{Code::kInvalidArgument, concat(file.string(), ": ", what)};
  };
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  boost::system::error_code code;
  const boost::json::value config = boost::json::parse(text.str(), code);
  if (!stream || code || !config.is_object()) return error("is missing or not a JSON object");
  const boost::json::value* found = config.get_object().if_contains("chat_template");
  if (found == nullptr || !found->is_string() || !is_llada(found->get_string())) {
    return error(
        "chat_template is not one that is recognised; name one with model.chat_template (known: "
        "llada)");
  }
  return named("llada", tokenizer);
}

Result<ChatTemplate> ChatTemplate::named(std::string_view name, const Tokenizer& tokenizer) {
  if (name != "llada")
    return Error{Code::kInvalidArgument,
                 concat("unknown chat template '", name, "'; known: llada")};
  ChatTemplate made;
  const auto find = [&](const char* token, TokenId& id) {
    const auto found = tokenizer.token_to_id(token);
    if (found) id = *found;
    return found.has_value();
  };
  if (!find("<|startoftext|>", made.bos_) || !find("<|start_header_id|>", made.start_header_) ||
      !find("<|end_header_id|>", made.end_header_) || !find("<|eot_id|>", made.eot_)) {
    return Error{Code::kInvalidArgument,
                 "the tokenizer lacks a token of the chat template 'llada'"};
  }
  return made;
}

std::vector<TokenId> ChatTemplate::encode(const Tokenizer& tokenizer,
                                          std::span<const ChatMessage> messages) const {
  std::vector<TokenId> ids{bos_};
  const auto append = [&](const std::string& text) {
    const std::vector<TokenId> more = tokenizer.encode(text);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  const auto header = [&](const std::string& role) {
    ids.push_back(start_header_);
    append(role);
    ids.push_back(end_header_);
  };
  for (const ChatMessage& message : messages) {
    header(message.role);
    append("\n\n" + std::string(stripped(message.content)));
    ids.push_back(eot_);
  }
  header("assistant");
  append("\n\n");
  return ids;
}

std::int64_t ChatTemplate::least_tokens(const Tokenizer& tokenizer,
                                        std::span<const ChatMessage> messages) const {
  std::int64_t tokens = 1;
  for (const ChatMessage& message : messages)
    tokens += tokenizer.least_tokens(stripped(message.content).size()) + 1;
  return tokens;
}

}  // namespace rubato
