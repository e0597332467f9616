#pragma once

#include <boost/json/object.hpp>

#include "http/openai/request.h"

namespace rubato {

/// Answers /tokenize: the ids that `prompt` or `messages` come to, and if asked each one's text.
/// Errors carry the field.
Result<boost::json::object> tokenize(const boost::json::object& body, const ApiContext& context);

/// Answers /detokenize: the text of `tokens`, special ones included.
Result<boost::json::object> detokenize(const boost::json::object& body, const ApiContext& context);

}  // namespace rubato
