#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

namespace rubato {

/// What went wrong while a tokenizer.json is read; thrown inside the loader only and turned into an
/// Error at its border.
struct LoadFailure {
  std::string message;
};

[[noreturn]] void fail_loading(std::string message);

/// A member of `object`, which `where` names in messages. What is missing or of another type fails.
const boost::json::value& member(const boost::json::object& object,
                                 const char* key,
                                 const char* where);
const boost::json::object& object_at(const boost::json::object& object,
                                     const char* key,
                                     const char* where);
std::string text_at(const boost::json::object& object, const char* key, const char* where);

/// A member that is a list of objects.
std::vector<const boost::json::object*> objects_at(const boost::json::object& object,
                                                   const char* key,
                                                   const char* where);

/// The parts of a component that may be one, or a "Sequence" that lists them under `list_key`.
std::vector<const boost::json::object*> parts_of(const boost::json::object& component,
                                                 const char* list_key,
                                                 const char* where);

bool flag(const boost::json::object& object, const char* key, bool otherwise);

/// Fails where `key` is there and neither null, false nor empty.
void require_absent(const boost::json::object& object, const char* key, const char* where);

}  // namespace rubato
