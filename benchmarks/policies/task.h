#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// How an answer is judged.
enum class Scoring {
  kNumber,  ///< the number after the last "#### " equals `expected`
  kPython,  ///< the function `entry` returns what the one in `expected` returns, for all
            ///< `inputs`
  kBegins,  ///< its complete lines (at least one) are the first lines of `expected`
};

/// One user message and its expected answer.
struct Question {
  std::string text;
  Scoring scoring = Scoring::kNumber;
  std::string expected;  ///< a number, Python source, or the lines of a longer answer
  std::string entry;     ///< kPython: the function's name
  std::string inputs;    ///< kPython: JSON, a list of argument lists
};

/// A file of questions. Nothing in it depends on a model.
struct Task {
  std::string name;
  std::vector<Question> questions;

  bool needs_python() const;
};

/// Reads `folder`/NAME.jsonl, or the file `name` itself when it ends in .jsonl. Errors:
/// kInvalidArgument, with the file, the line and the problem, or with the available tasks.
Result<Task> load_task(const std::filesystem::path& folder, const std::string& name);

}  // namespace rubato
