#pragma once

#include <boost/json/object.hpp>

#include "http/openai/request.h"

namespace rubato {

/// Answers /tokenize: the ids of `prompt` or `messages`, and if requested each one's text. Errors
/// name the field.
Result<boost::json::object> tokenize(const boost::json::object& body, const ApiContext& context);

/// Answers /detokenize: the text of `tokens`, special ones included.
Result<boost::json::object> detokenize(const boost::json::object& body, const ApiContext& context);

}  // namespace rubato
