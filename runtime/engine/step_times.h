#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rubato {

/// The parts of a step, in order.
enum class Phase : std::uint8_t {
  kPlan,     ///< admissions, the plan's message, each policy's query
  kReuse,    ///< phase A through all layers, its collectives included
  kReduce,   ///< phase A's drift and mass sums added up over ranks, and the similarities
  kDecide,   ///< boundaries, and their message
  kRefresh,  ///< phase B, its collectives included
  kHead,     ///< logits of the eligible rows
  kSample,   ///< logits to candidates, the exchange between ranks included
  kFinish,   ///< commits, tracked sets, updates to clients
};
inline constexpr std::size_t kNumPhases = 8;

/// The name of a phase in tables and metrics.
const char* to_string(Phase phase);

/// What a step computed besides its reuse pass.
enum class StepKind : std::uint8_t {
  kReuse,    ///< nothing: no sequence was refreshed
  kPartial,  ///< some layers, or some sequences only
  kFull,     ///< every layer of every sequence; no reuse pass ran
};
inline constexpr std::size_t kNumStepKinds = 3;

const char* to_string(StepKind kind);

/// The steps of one kind so far, and where their time went.
struct PhaseTimes {
  std::int64_t steps = 0;
  std::array<std::int64_t, kNumPhases> nanoseconds{};  ///< by phase, all steps together

  std::int64_t of(Phase phase) const { return nanoseconds[static_cast<std::size_t>(phase)]; }
  std::int64_t total() const;
  PhaseTimes& operator+=(const PhaseTimes& other);
  PhaseTimes& operator-=(const PhaseTimes& other);
  bool operator==(const PhaseTimes&) const = default;
};

/// Where the time of an engine's steps went, since it started.
struct StepTimes {
  std::array<PhaseTimes, kNumStepKinds> kinds{};

  const PhaseTimes& of(StepKind kind) const { return kinds[static_cast<std::size_t>(kind)]; }
  StepTimes& operator+=(const StepTimes& other);
  StepTimes& operator-=(const StepTimes& other);
  bool operator==(const StepTimes&) const = default;
};

/// Divides steps into phases by reading the clock at the end of each. One thread.
class StepTimer {
 public:
  using Clock = std::chrono::steady_clock;

  /// A step begins.
  void begin(Clock::time_point now = Clock::now());

  /// A phase of the step has ended.
  void lap(Phase phase, Clock::time_point now = Clock::now());

  /// Adds the step so far to `times`; later laps count with the next step.
  void count(StepKind kind);

  const StepTimes& times() const { return times_; }

 private:
  StepTimes times_;
  PhaseTimes step_;  // laps not yet counted
  StepKind kind_ = StepKind::kReuse;
  Clock::time_point last_;
};

}  // namespace rubato
