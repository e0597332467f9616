#pragma once

#include <string>
#include <utility>
#include <variant>

namespace rubato {

/// What kind of failure an `Error` is; one table in http/ maps it to a status and an OpenAI error
/// type.
enum class Code {
  kInvalidArgument,  ///< the caller's input is wrong; the message names the field
  kUnauthenticated,  ///< the caller has not proved that it has access
  kNotFound,
  kTooLong,     ///< does not fit the context or the cache; the message has both numbers
  kOverloaded,  ///< a bounded queue is full
  kDeadline,
  kUnavailable,  ///< loading, draining, or the engine has stopped
  kInternal,
};

/// The stable, lower-case name of a code, for logs.
const char* to_string(Code code);

/// An expected failure: what was found, what is allowed, and where.
struct Error {
  Code code = Code::kInternal;
  std::string message;
  std::string param = {};  ///< dotted path of the offending field or key; empty when there is none

  bool operator==(const Error&) const = default;
};

/// A value or an `Error`. Reading the value of a failed result is a broken invariant and ends the
/// process.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an `Error`.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool ok_ = true;
};

using Status = Result<void>;

}  // namespace rubato
