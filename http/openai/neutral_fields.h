#pragma once

#include "http/openai/fields.h"

namespace rubato {

/// Refuses the fields that are not supported, unless they hold the value that changes nothing.
/// Throws FieldError.
void refuse_unsupported(const Fields& fields);

}  // namespace rubato
