#include "http/openai/prompt_fields.h"

#include <algorithm>

#include "runtime/text/unsplittable_text.h"

namespace rubato {
namespace {

namespace json = boost::json;

std::string read_content(const json::value& content, const std::string& param) {
  if (content.is_string()) return std::string(content.get_string());
  if (!content.is_array())
    reject(param, concat("`", param, "` must be a string or a list of text parts"));
  std::string text;
  for (const json::value& part : content.get_array()) {
    const json::value* piece = part.is_object() ? part.get_object().if_contains("text") : nullptr;
    const json::value* type = part.is_object() ? part.get_object().if_contains("type") : nullptr;
    if (piece == nullptr || !piece->is_string() || type == nullptr || *type != "text")
      reject(param, concat("`", param, "` may hold text parts only"));
    text += piece->get_string();
  }
  return text;
}

std::vector<ChatMessage> read_messages(const Fields& body) {
  static constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool"};
  const auto* value = body.find("messages");
  if (value == nullptr || !value->is_array() || value->get_array().empty())
    reject("messages", "`messages` must be a list of at least one message");
  std::vector<ChatMessage> messages;
  for (const json::value& message : value->get_array()) {
    const std::string path = concat("messages[", messages.size(), "]");
    if (!message.is_object()) reject(path, concat("`", path, "` must be an object"));
    const Fields fields(message.get_object(), path + ".");
    const auto role = fields.string("role");
    if (!role || std::ranges::find(kRoles, *role) == std::end(kRoles))
      reject(
          fields.name("role"),
          concat("`", fields.name("role"), "` must be system, developer, user, assistant or tool"));
    const auto* content = fields.find("content");
    // An assistant's turn with only tool calls has none.
    if (content == nullptr && *role != "assistant")
      reject(fields.name("content"), concat("`", fields.name("content"), "` is required"));
    messages.push_back(
        {*role, content == nullptr ? "" : read_content(*content, fields.name("content"))});
  }
  return messages;
}

/// Texts up to this size are tokenized before they are refused, so that the error has their length.
constexpr std::size_t kAlwaysCountedBytes = 16 << 10;

/// Refuses a text that has `least` tokens or more and leaves no room for `length` further ones.
void require_room_beside_text(std::size_t num_bytes,
                              std::int64_t least,
                              std::int64_t length,
                              const ServedModel& model,
                              const std::string& param) {
  if (num_bytes > kAlwaysCountedBytes) require_room(least, length, model, param, Counted::kAtLeast);
}

/// The result of `encode`; a text that the tokenizer cannot split is the client's mistake.
template <class Encode>
std::vector<TokenId> encoded(const char* param, const Encode& encode) {
  try {
    return encode();
  } catch (const UnsplittableText& failure) {
    reject(param, failure.what());
  }
}

}  // namespace

void require_served_model(const Fields& body, const ServedModel& model) {
  const auto name = body.string("model");
  if (!name || *name == model.id) return;
  throw FieldError{unknown_model(*name)};
}

void require_room(std::int64_t given,
                  std::int64_t length,
                  const ServedModel& model,
                  const std::string& param,
                  Counted counted) {
  if (given + length <= model.max_context) return;
  const char* at_least = counted == Counted::kAtLeast ? "at least " : "";
  reject(param,
         concat("This model's maximum context length is ",
                model.max_context,
                " tokens. The prompt has ",
                at_least,
                given,
                " tokens and ",
                length,
                " are to be generated, ",
                at_least,
                given + length,
                " in all."),
         Code::kTooLong);
}

std::vector<TokenId> read_token_ids(const json::array& list,
                                    const std::string& param,
                                    const ApiContext& context,
                                    bool mask_allowed) {
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool known = list[i].is_int64() && list[i].get_int64() >= 0 &&
                       list[i].get_int64() < context.model.vocab_size;
    if (!known)
      reject(param,
             concat("token ",
                    i,
                    " is ",
                    Fields::shown(list[i]),
                    "; ids are integers from 0 to ",
                    context.model.vocab_size - 1));
    if (!mask_allowed && list[i].get_int64() == context.model.mask_id)
      reject(
          param,
          concat("token ", i, " is the mask token, which stands for what is yet to be generated"));
    ids.push_back(static_cast<TokenId>(list[i].get_int64()));
  }
  return ids;
}

std::vector<TokenId> encode_prompt(const Fields& body,
                                   std::string_view text,
                                   const Tokenizer& tokenizer) {
  const bool framed = body.boolean("add_special_tokens", true);
  return encoded("prompt",
                 [&] { return framed ? tokenizer.encode_framed(text) : tokenizer.encode(text); });
}

std::vector<std::vector<TokenId>> read_prompts(const Fields& body,
                                               const ApiContext& context,
                                               std::int64_t length) {
  const auto encode_fitting = [&](std::string_view text) {
    const std::int64_t least = context.tokenizer.least_tokens(text.size());
    require_room_beside_text(text.size(), least, length, context.model, "prompt");
    return encode_prompt(body, text, context.tokenizer);
  };
  const auto* value = body.find("prompt");
  if (value == nullptr) reject("prompt", "`prompt` is required");
  const char* allowed =
      "`prompt` must be a string, a list of strings, a list of token ids, or a list of such lists";
  if (value->is_string()) return {encode_fitting(value->get_string())};
  if (!value->is_array() || value->get_array().empty()) reject("prompt", allowed);
  const json::array& list = value->get_array();
  if (list[0].is_number()) return {read_token_ids(list, "prompt", context)};
  std::vector<std::vector<TokenId>> prompts;
  for (const json::value& one : list) {
    if (one.is_string()) {
      prompts.push_back(encode_fitting(one.get_string()));
    } else if (one.is_array()) {
      prompts.push_back(read_token_ids(one.get_array(), "prompt", context));
    } else {
      reject("prompt", allowed);
    }
  }
  return prompts;
}

std::vector<TokenId> read_suffix(const Fields& body,
                                 const ApiContext& context,
                                 std::int64_t length) {
  const std::string text = body.string("suffix").value_or("");
  const std::int64_t least = context.tokenizer.least_tokens(text.size());
  require_room_beside_text(text.size(), least, length, context.model, "prompt");
  return encoded("suffix", [&] { return context.tokenizer.encode(text); });
}

std::vector<std::string> prompt_texts(const Fields& body,
                                      const std::vector<std::vector<TokenId>>& prompts,
                                      const Tokenizer& tokenizer,
                                      bool skip_special) {
  const json::value& given = *body.find("prompt");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const json::value* one = &given;
    if (given.is_array() && !given.get_array()[0].is_number()) one = &given.get_array()[i];
    texts.push_back(one->is_string() ? std::string(one->get_string())
                                     : tokenizer.decode(prompts[i], skip_special));
  }
  return texts;
}

std::vector<TokenId> encode_chat(const Fields& body,
                                 const ApiContext& context,
                                 std::optional<std::int64_t> length) {
  if (context.chat_template == nullptr) {
    reject("messages",
           "this checkpoint's chat template is not recognised; name one in the server's "
           "configuration (model.chat_template)");
  }
  const std::vector<ChatMessage> messages = read_messages(body);
  if (length) {
    const std::int64_t least = context.chat_template->least_tokens(context.tokenizer, messages);
    std::size_t num_bytes = 0;
    for (const ChatMessage& message : messages) num_bytes += message.content.size();
    require_room_beside_text(num_bytes, least, *length, context.model, "messages");
  }
  return encoded("messages",
                 [&] { return context.chat_template->encode(context.tokenizer, messages); });
}

}  // namespace rubato
