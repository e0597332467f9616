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

/// Runs a file in OpenAI's Batch format: a request a line, through the same code as the server's,
/// several at a time; results in input order, a line each. A bad line becomes that line's error and
/// nothing else's. Blocks until all are answered, or `out` fails; not on the engine's thread.
/// `progress` is called after each line.
BatchProgress run_batch(std::istream& in,
                        std::ostream& out,
                        const ApiContext& context,
                        GenerationClient& client,
                        int max_concurrent,
                        const std::function<void(const BatchProgress&)>& progress);

}  // namespace rubato
