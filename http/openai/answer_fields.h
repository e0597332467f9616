#pragma once

#include "http/openai/fields.h"
#include "http/openai/request.h"

namespace rubato {

/// How ids become text and where that ends: `stop` and related fields, `skip_special_tokens`,
/// `min_tokens`. Throws FieldError.
AnswerOptions read_answer_options(const Fields& body, const ApiContext& context);

}  // namespace rubato
