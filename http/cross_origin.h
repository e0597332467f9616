#pragma once

#include <boost/beast/http/fields.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// Which web pages, by their origin, a browser may let read our answers; none by default. Any
/// thread.
class CrossOrigin {
 public:
  CrossOrigin() = default;

  /// Origins ("https://example.org") separated by spaces or commas, or "*" for all. Errors:
  /// kInvalidArgument, naming the one that is no origin.
  static Result<CrossOrigin> parse(std::string_view origins);

  /// Whether pages are let in at all; if so, OPTIONS is answered to them.
  bool open() const { return all_ || !origins_.empty(); }

  /// Adds what tells the browser that the page of this request may read the answer.
  void permit(const boost::beast::http::fields& request, boost::beast::http::fields& answer) const;

  /// The same for the question that goes before a request (OPTIONS).
  void permit_preflight(const boost::beast::http::fields& request,
                        boost::beast::http::fields& answer) const;

 private:
  bool allows(std::string_view origin) const;

  bool all_ = false;
  std::vector<std::string> origins_;
};

}  // namespace rubato
