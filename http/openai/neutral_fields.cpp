#include "http/openai/neutral_fields.h"

namespace rubato {

void refuse_unsupported(const Fields& fields) {
  for (const char* key :
       {"logit_bias", "stop_token_ids", "suffix", "tools", "audio", "functions"}) {
    const auto* value = fields.find(key);
    const bool empty = value == nullptr || (value->is_array() && value->get_array().empty()) ||
                       (value->is_object() && value->get_object().empty()) ||
                       (value->is_string() && value->get_string().empty());
    if (!empty) reject(key, concat("`", key, "` is not supported yet"));
  }
  for (const char* key : {"logprobs", "echo", "include_stop_str_in_output"}) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_bool() && !value->get_bool()))
      reject(key, concat("`", key, "` is not supported yet"));
  }
  for (const char* key :
       {"presence_penalty", "frequency_penalty", "min_p", "min_tokens", "top_logprobs"}) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_number() && value->to_number<double>() == 0))
      reject(key, concat("`", key, "` is not supported yet; leave it out or 0"));
  }
  for (const char* key : {"best_of", "repetition_penalty"}) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_number() && value->to_number<double>() == 1))
      reject(key, concat("`", key, "` is not supported; leave it out or 1"));
  }
  for (const char* key : {"skip_special_tokens", "add_special_tokens"}) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_bool() && value->get_bool()))
      reject(key, concat("`", key, "` is not supported yet; leave it out or true"));
  }
  if (fields.find("chat_template") != nullptr)
    reject("chat_template", "`chat_template` is the server's to choose");
  if (const auto* format = fields.find("response_format")) {
    const bool text = format->is_object() && format->get_object().contains("type") &&
                      format->get_object().at("type") == "text";
    if (!text) reject("response_format", "`response_format` supports {\"type\": \"text\"} only");
  }
}

}  // namespace rubato
