#pragma once

#include <boost/beast/http/fields.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// The origins whose web pages may read the server's answers (CORS); none by default. Any thread.
class CrossOrigin {
 public:
  CrossOrigin() = default;

  /// Origins ("https://example.org") separated by spaces or commas, or "*" for all. Errors:
  /// kInvalidArgument, naming what is not an origin.
  static Result<CrossOrigin> parse(std::string_view origins);

  /// Whether any origin is allowed; if so, OPTIONS requests are answered.
  bool open() const { return all_ || !origins_.empty(); }

  /// Adds the fields that let the requesting page read the answer.
  void permit(const boost::beast::http::fields& request, boost::beast::http::fields& answer) const;

  /// The same for the answer to a preflight request (OPTIONS).
  void permit_preflight(const boost::beast::http::fields& request,
                        boost::beast::http::fields& answer) const;

 private:
  bool allows(std::string_view origin) const;

  bool all_ = false;
  std::vector<std::string> origins_;
};

}  // namespace rubato
