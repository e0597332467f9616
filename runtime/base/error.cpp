#include "runtime/base/error.h"

namespace rubato {

const char* to_string(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kUnauthenticated:
      return "unauthenticated";
    case Code::kNotFound:
      return "not_found";
    case Code::kTooLong:
      return "too_long";
    case Code::kOverloaded:
      return "overloaded";
    case Code::kDeadline:
      return "deadline";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kInternal:
      return "internal";
  }
  return "unknown";
}

}  // namespace rubato
