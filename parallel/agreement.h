#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// A property of a rank, to be compared with the other ranks'.
struct Fact {
  std::string name;
  std::string value;
  bool must_agree = true;  ///< false: may differ; reported only together with facts that must not

  bool operator==(const Fact&) const = default;
};

/// One rank's report at a point that all ranks must reach: why it failed (empty: it did not), or
/// the facts it continues with.
struct Statement {
  std::string failure;
  std::vector<Fact> facts;

  bool operator==(const Statement&) const = default;
};

/// As bytes, long texts truncated. The first four bytes can be read by every version of Rubato.
std::string encode(const Statement& statement);

/// Errors: kInternal, when `bytes` are no statement of this version.
Result<Statement> decode_statement(std::string_view bytes);

/// Whether the ranks of a job may continue together; `by_rank` is never empty. Errors:
/// kUnavailable, with what failed on which ranks; kInvalidArgument, with every fact of `what` that
/// differs, its values and the ranks that have them.
Status compare(std::string_view what, std::span<const Statement> by_rank);

}  // namespace rubato
