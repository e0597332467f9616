#pragma once

#include <functional>
#include <istream>
#include <ostream>

#include "http/openai/request.h"
#include "runtime/engine/generation.h"

namespace rubato {

struct BatchProgress {
  std::int64_t done = 0;
  std::int64_t failed = 0;  ///< of those done
};

/// Runs a file in OpenAI's Batch format: one request per line, through the server's code, several
/// at a time; one result per line, in input order. A bad line fails alone. Blocks until all are
/// answered, or `out` fails; do not call on the engine thread. `progress` is called after each
/// line.
BatchProgress run_batch(std::istream& in,
                        std::ostream& out,
                        const ApiContext& context,
                        GenerationClient& client,
                        int max_concurrent,
                        const std::function<void(const BatchProgress&)>& progress);

}  // namespace rubato
