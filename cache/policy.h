#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "cache/tracking.h"
#include "cache/types.h"
#include "runtime/base/error.h"

namespace rubato {

struct Policy;

/// How the change of a tracked token's attention is measured (docs/algorithm.md, "Drift").
enum class DriftMeasure : std::uint8_t {
  kHeads,  ///< cosine over heads for every (tracked token, key), averaged: the authors' code
  kRows,   ///< cosine over keys for every (tracked token, head), averaged: the paper's formula
};

/// The names of the measures, by number, as configuration and requests spell them.
inline constexpr std::string_view kDriftMeasures[] = {"heads", "rows"};

std::string_view to_string(DriftMeasure measure);

/// The measure of that name; none if there is none.
std::optional<DriftMeasure> parse_drift_measure(std::string_view name);

/// A request's cache policy and its parameters. Value; validated by `validate`.
struct PolicyParams {
  const Policy* policy = nullptr;  ///< one of `policies()`, never null once validated
  int window = 16;                 ///< β: how many masked positions a step may commit, >= 1
  double gamma = 0.9;  ///< γ: similarity below which a layer's attention has drifted, 0 to 2
  DriftMeasure drift = DriftMeasure::kHeads;
  int track = 1;          ///< most-attended positions each layer adds to the tracked set, >= 1
  int refresh_every = 8;  ///< steps between full refreshes of the periodic policies, >= 1
  int block_length = 32;  ///< positions of a block, for policies that decode by block, >= 1
  int horizon = 64;       ///< canvas positions from the first mask on that stay in reach, >= 1

  bool operator==(const PolicyParams&) const = default;
};

/// A parameter that is a whole number, and the values that it may have.
struct PolicyParameter {
  const char* name;
  int PolicyParams::*value;
  int least, most;
};

/// `track` has few: the memory of a drift test grows with the number of tracked positions, which
/// clients choose.
inline constexpr PolicyParameter kPolicyParameters[] = {
    {"window", &PolicyParams::window, 1, 1 << 20},
    {"track", &PolicyParams::track, 1, 32},
    {"refresh_every", &PolicyParams::refresh_every, 1, 1 << 20},
    {"block_length", &PolicyParams::block_length, 1, 1 << 20},
    {"horizon", &PolicyParams::horizon, 1, 1 << 20},
};
inline constexpr double kMostGamma = 2;

/// What a policy sees of a sequence at the start of a step. Spans are borrowed and ascending.
struct SequenceView {
  Position canvas_length = 0;
  Position prompt_length = 0;
  int step = 0;           ///< 0-based
  int step_in_block = 0;  ///< 0-based, since the current block became current
  Position block_begin = 0;
  Position block_end = 0;  ///< one past the current block's last position
  std::span<const Position> masked;
  std::span<const Position> committed_last;  ///< committed by the step before
  std::span<const Position> tracked;         ///< chosen by the step before
};

/// Which layers a step recomputes for all rows.
enum class Refresh : std::uint8_t {
  kNone,     ///< reuse pass only
  kByDrift,  ///< reuse pass, then from the layer whose attention drifted, if any
  kFull,     ///< all layers, B = 0; no reuse pass runs in this step
};

/// A policy's answer for one step: what to compute and what may be committed.
struct StepQuery {
  Refresh refresh = Refresh::kFull;
  std::vector<Position>
      rows;  ///< of the reuse pass, unique; the first `num_tracked` are the tracked set
  int num_tracked = 0;
  std::vector<Position>
      eligible;  ///< masked positions that may be committed, ascending, a subset of the rows

  bool operator==(const StepQuery&) const = default;
};

/// A caching policy: a name and a pure function from a sequence's state to a step's query.
/// Adding one takes a file in cache/policies/, a declaration in policies/policies.h and a line in
/// policy.cpp.
struct Policy {
  std::string_view name;
  std::string_view summary;  ///< one line for --help and docs
  bool by_block;             ///< decodes block by block; else the whole generated part is one block
  StepQuery (*query)(const PolicyParams&, const SequenceView&);
  /// `query(...).refresh` by itself, at next to no cost: the coordinator asks it for all sequences.
  Refresh (*refresh)(const PolicyParams&, const SequenceView&);
  /// How far the canvas reaches in this step: one past the last position that is computed, attended
  /// to or committed. Never less than in the step before. Null: always the whole canvas.
  Position (*reach)(const PolicyParams&, const SequenceView&) = nullptr;
  /// The tracked set of the next step (`SequenceView::tracked`), ascending, from what this step
  /// attended to. Null: the policy tracks nothing.
  std::vector<Position> (*follow)(const PolicyParams&, const AttentionMass&) = nullptr;
  /// Whether `refresh` is ever kByDrift.
  bool tests_drift = false;

  bool tracks() const { return follow != nullptr; }
};

/// Length of the canvas prefix that this step sees.
Position canvas_reach(const PolicyParams& params, const SequenceView& sequence);

/// All policies, in a fixed order: a policy's index is its number on the wire.
std::span<const Policy* const> policies();

/// The policy of that name, or null.
const Policy* find_policy(std::string_view name);

/// Checks every parameter; an error names the parameter, what was found and what is allowed.
Status validate(const PolicyParams& params);

/// The index of `policy` in `policies()`.
std::uint8_t policy_number(const Policy& policy);

}  // namespace rubato
