#include "benchmarks/policies/scoring.h"

#include <charconv>

namespace rubato {
namespace {

std::optional<std::int64_t> leading_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() ? std::optional(number) : std::nullopt;
}

bool begins(std::string_view answer, std::string_view expected) {
  const std::string_view lines = answer.substr(0, answer.rfind('\n') + 1);
  return !lines.empty() && expected.starts_with(lines);
}

}  // namespace

std::optional<std::int64_t> number_after_hashes(std::string_view text) {
  constexpr std::string_view kHashes = "#### ";
  for (std::size_t at = text.rfind(kHashes); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : text.rfind(kHashes, at - 1)) {
    if (const auto number = leading_number(text.substr(at + kHashes.size()))) return number;
  }
  return std::nullopt;
}

Result<bool> is_right(const Question& question, std::string_view answer, PythonScorer& python) {
  switch (question.scoring) {
    case Scoring::kNumber: {
      const auto found = number_after_hashes(answer);
      return found && found == leading_number(question.expected);
    }
    case Scoring::kPython:
      if (answer == question.expected) return true;
      return python.same_function(question, answer);
    case Scoring::kBegins:
      return begins(answer, question.expected);
  }
  return false;
}

}  // namespace rubato
