#include "runtime/text/tokenizer_json.h"

#include "runtime/base/concat.h"

namespace rubato {
namespace json = boost::json;

void fail_loading(std::string message) {
  throw LoadFailure{std::move(message)};
}

const json::value& member(const json::object& object, const char* key, const char* where) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) fail_loading(concat(where, ".", key, " is missing"));
  return *value;
}

const json::object& object_at(const json::object& object, const char* key, const char* where) {
  const json::value& value = member(object, key, where);
  if (!value.is_object()) fail_loading(concat(where, ".", key, " is not an object"));
  return value.get_object();
}

std::string text_at(const json::object& object, const char* key, const char* where) {
  const json::value& value = member(object, key, where);
  if (!value.is_string()) fail_loading(concat(where, ".", key, " is not a string"));
  return std::string(value.get_string());
}

std::vector<const json::object*> objects_at(const json::object& object,
                                            const char* key,
                                            const char* where) {
  const json::value& list = member(object, key, where);
  if (!list.is_array()) fail_loading(concat(where, ".", key, " is not a list"));
  std::vector<const json::object*> objects;
  for (const json::value& each : list.get_array()) {
    if (!each.is_object())
      fail_loading(concat(where, ".", key, " holds something that is not an object"));
    objects.push_back(&each.get_object());
  }
  return objects;
}

std::vector<const json::object*> parts_of(const json::object& component,
                                          const char* list_key,
                                          const char* where) {
  if (text_at(component, "type", where) != "Sequence") return {&component};
  return objects_at(component, list_key, where);
}

bool flag(const json::object& object, const char* key, bool otherwise) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() ? value->get_bool() : otherwise;
}

void require_absent(const json::object& object, const char* key, const char* where) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null() || (value->is_bool() && !value->get_bool())) return;
  if (value->is_string() && value->get_string().empty()) return;
  fail_loading(concat(where, ".", key, " is set; it is not supported"));
}

}  // namespace rubato
