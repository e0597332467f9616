#include "http/openai/neutral_fields.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr std::pair<const char*, double> kNumbers[] = {{"presence_penalty", 0},
                                                       {"frequency_penalty", 0},
                                                       {"min_p", 0},
                                                       {"best_of", 1},
                                                       {"repetition_penalty", 1},
                                                       {"length_penalty", 1}};

constexpr std::pair<const char*, bool> kFlags[] = {
    {"use_beam_search", false}, {"continue_final_message", false}, {"add_generation_prompt", true}};

constexpr const char* kEmpty[] = {"audio", "prompt_embeds", "chat_template", "prompt_logprobs"};

[[noreturn]] void refuse(const Fields& fields, const char* key, const std::string& allowed) {
  reject(key,
         concat("`",
                key,
                "` is ",
                Fields::shown(*fields.find(key)),
                ", which is not supported; leave it out",
                allowed.empty() ? "" : " or ",
                allowed));
}

bool is_empty(const json::value* value) {
  return value == nullptr || (value->is_array() && value->get_array().empty()) ||
         (value->is_object() && value->get_object().empty()) ||
         (value->is_string() && value->get_string().empty());
}

/// Tools are accepted where the request itself says that none is to be called.
void refuse_tools(const Fields& fields, const char* tools_key, const char* choice_key) {
  const auto* choice = fields.find(choice_key);
  if (choice != nullptr && *choice == "none") return;
  if (!is_empty(fields.find(tools_key)))
    refuse(fields, tools_key, concat("set `", choice_key, "` to \"none\""));
  if (choice != nullptr && *choice != "auto") refuse(fields, choice_key, "\"none\"");
}

}  // namespace

void refuse_unsupported(const Fields& fields) {
  for (const auto& [key, neutral] : kNumbers) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_number() && value->to_number<double>() == neutral))
      refuse(fields, key, concat("give ", neutral));
  }
  for (const auto& [key, neutral] : kFlags) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_bool() && value->get_bool() == neutral))
      refuse(fields, key, concat("give ", neutral ? "true" : "false"));
  }
  for (const char* key : kEmpty) {
    if (!is_empty(fields.find(key))) refuse(fields, key, "");
  }
  refuse_tools(fields, "tools", "tool_choice");
  refuse_tools(fields, "functions", "function_call");
  if (const auto* format = fields.find("response_format")) {
    const bool text = format->is_object() && format->get_object().contains("type") &&
                      format->get_object().at("type") == "text";
    if (!text) reject("response_format", "`response_format` supports {\"type\": \"text\"} only");
  }
}

void refuse_in_chat(const Fields& fields) {
  if (fields.boolean("echo", false)) refuse(fields, "echo", "use /v1/completions");
  if (!is_empty(fields.find("suffix"))) refuse(fields, "suffix", "use /v1/completions");
}

}  // namespace rubato
