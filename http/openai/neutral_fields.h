#pragma once

#include "http/openai/fields.h"

namespace rubato {

/// Refuses the fields that are not supported, unless they hold the value that changes nothing.
/// Throws FieldError.
void refuse_unsupported(const Fields& fields);

/// Refuses what completions have and chats have not.
void refuse_in_chat(const Fields& fields);

}  // namespace rubato
