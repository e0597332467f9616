#include "runtime/engine/step_times.h"

#include <functional>
#include <numeric>

namespace rubato {
namespace {

template <class Operation>
void combine(PhaseTimes& to, const PhaseTimes& from, Operation operation) {
  to.steps = operation(to.steps, from.steps);
  for (std::size_t i = 0; i < kNumPhases; ++i)
    to.nanoseconds[i] = operation(to.nanoseconds[i], from.nanoseconds[i]);
}

}  // namespace

const char* to_string(Phase phase) {
  switch (phase) {
    case Phase::kPlan:
      return "plan";
    case Phase::kReuse:
      return "reuse";
    case Phase::kReduce:
      return "reduce";
    case Phase::kDecide:
      return "decide";
    case Phase::kRefresh:
      return "refresh";
    case Phase::kHead:
      return "head";
    case Phase::kSample:
      return "sample";
    case Phase::kFinish:
      return "finish";
  }
  return "";
}

const char* to_string(StepKind kind) {
  switch (kind) {
    case StepKind::kReuse:
      return "reuse";
    case StepKind::kPartial:
      return "partial";
    case StepKind::kFull:
      return "full";
  }
  return "";
}

std::int64_t PhaseTimes::total() const {
  return std::accumulate(nanoseconds.begin(), nanoseconds.end(), std::int64_t{0});
}

PhaseTimes& PhaseTimes::operator+=(const PhaseTimes& other) {
  combine(*this, other, std::plus<>());
  return *this;
}

PhaseTimes& PhaseTimes::operator-=(const PhaseTimes& other) {
  combine(*this, other, std::minus<>());
  return *this;
}

StepTimes& StepTimes::operator+=(const StepTimes& other) {
  for (std::size_t i = 0; i < kNumStepKinds; ++i) kinds[i] += other.kinds[i];
  return *this;
}

StepTimes& StepTimes::operator-=(const StepTimes& other) {
  for (std::size_t i = 0; i < kNumStepKinds; ++i) kinds[i] -= other.kinds[i];
  return *this;
}

void StepTimer::begin(Clock::time_point now) {
  times_.kinds[static_cast<std::size_t>(kind_)] += step_;  // laps after `count`
  step_ = {};
  last_ = now;
}

void StepTimer::lap(Phase phase, Clock::time_point now) {
  step_.nanoseconds[static_cast<std::size_t>(phase)] +=
      std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_).count();
  last_ = now;
}

void StepTimer::count(StepKind kind) {
  kind_ = kind;
  step_.steps = 1;
  times_.kinds[static_cast<std::size_t>(kind)] += step_;
  step_ = {};
}

}  // namespace rubato
