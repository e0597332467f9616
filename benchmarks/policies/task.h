#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// How an answer is judged.
enum class Scoring {
  kNumber,  ///< the number after the last "#### " equals `expected`
  kPython,  ///< the function `entry` gives what the one in `expected` gives, for every one of
            ///< `inputs`
  kBegins,  ///< its whole lines, of which there are some, are the first ones of `expected`
};

/// One user message and what a right answer to it is.
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
/// kInvalidArgument, naming the file and line and what is wrong with it, or the tasks there are.
Result<Task> load_task(const std::filesystem::path& folder, const std::string& name);

}  // namespace rubato
