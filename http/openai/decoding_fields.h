#pragma once

#include "http/openai/fields.h"
#include "http/openai/request.h"

namespace rubato {

/// The part of a generation that does not depend on its prompt and length: sampling, changes of the
/// logits, log-probabilities. `request.answer` and `request.chat` have already been read. Throws
/// FieldError.
GenerationRequest read_decoding(const Fields& body,
                                const ApiContext& context,
                                const ApiRequest& request);

}  // namespace rubato
