#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "benchmarks/policies/python_scorer.h"
#include "benchmarks/policies/task.h"

namespace rubato {

/// The whole number after the last "#### " of a text, if there is one.
std::optional<std::int64_t> number_after_hashes(std::string_view text);

/// Whether `answer` is correct. `python` is used only for questions that need it. Errors:
/// kUnavailable, if it is needed and does not answer.
Result<bool> is_right(const Question& question, std::string_view answer, PythonScorer& python);

}  // namespace rubato
