#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "benchmarks/policies/task.h"

namespace rubato {

/// A Python child process that runs generated code (tasks/score_python.py), which
/// communicates in JSON lines over a socket. Make it before MPI is initialised: afterwards no
/// process may be started. Not thread safe.
class PythonScorer {
 public:
  /// Starts `python script`; `available` says whether that worked.
  PythonScorer(const std::string& python, const std::filesystem::path& script);

  /// Ends the child.
  ~PythonScorer();
  PythonScorer(const PythonScorer&) = delete;
  PythonScorer& operator=(const PythonScorer&) = delete;

  /// Waits until the child is ready. Errors: kUnavailable, saying why there is none.
  Status available();

  /// Whether `answer` defines a function that returns what the expected one returns, for all
  /// inputs. An answer that fails or takes more than a few seconds is wrong. Errors: kUnavailable,
  /// if the child has died.
  Result<bool> same_function(const Question& question, std::string_view answer);

 private:
  bool send_line(const std::string& line);
  Result<std::string> receive_line();

  std::string command_;
  pid_t child_ = -1;
  int socket_ = -1;
  bool greeted_ = false;
  std::string received_;  // beyond the last whole line
};

}  // namespace rubato
