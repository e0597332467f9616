#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// Something a rank says of itself, to be compared with the others.
struct Fact {
  std::string name;
  std::string value;
  bool must_agree = true;  ///< false: may differ, and is told only beside what may not

  bool operator==(const Fact&) const = default;
};

/// One rank's word at a point that all must reach alike: why it failed (empty: it did not), or what
/// it goes on with.
struct Statement {
  std::string failure;
  std::vector<Fact> facts;

  bool operator==(const Statement&) const = default;
};

/// As bytes, long texts cut. Every version of Rubato reads the others' first four.
std::string encode(const Statement& statement);

/// Errors: kInternal, when `bytes` are no statement of this version.
Result<Statement> decode_statement(std::string_view bytes);

/// Whether the ranks of a job may go on together; `by_rank` is never empty. Errors: kUnavailable,
/// what failed and on which ranks; kInvalidArgument, every fact of `what` that differs, with its
/// values and the ranks that have them.
Status compare(std::string_view what, std::span<const Statement> by_rank);

}  // namespace rubato
