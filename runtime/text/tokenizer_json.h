#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

namespace rubato {

/// An error in a tokenizer.json; thrown only inside the loader, whose entry point turns it into an
/// Error.
struct LoadFailure {
  std::string message;
};

[[noreturn]] void fail_loading(std::string message);

/// A member of `object`, which messages call `where`. Fails if it is missing or has another type.
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

/// The parts of a component: itself, or those that a "Sequence" lists under `list_key`.
std::vector<const boost::json::object*> parts_of(const boost::json::object& component,
                                                 const char* list_key,
                                                 const char* where);

bool flag(const boost::json::object& object, const char* key, bool otherwise);

/// Fails if `key` is present and neither null, false nor empty.
void require_absent(const boost::json::object& object, const char* key, const char* where);

}  // namespace rubato
