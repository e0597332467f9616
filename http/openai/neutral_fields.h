#pragma once

#include "http/openai/fields.h"

namespace rubato {

/// Refuses unsupported fields, unless they have the value that changes nothing. Throws FieldError.
void refuse_unsupported(const Fields& fields);

/// Refuses fields that only completions have.
void refuse_in_chat(const Fields& fields);

}  // namespace rubato
