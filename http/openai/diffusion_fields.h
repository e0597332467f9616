#pragma once

#include "http/openai/fields.h"
#include "runtime/engine/generation.h"

namespace rubato {

/// Reads the `diffusion` object of a request's body into `request`, which already has the server's
/// defaults and its own max_tokens. Throws FieldError.
void read_diffusion(const Fields& body, GenerationRequest& request);

}  // namespace rubato
