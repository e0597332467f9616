#include "parallel/rank_watch.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "parallel/deadline.h"
#include "runtime/base/concat.h"
#include "runtime/base/exit_status.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

/// How long after its time a rank is late, which makes the server not ready.
constexpr std::chrono::milliseconds kLate{1000};

/// Two looks at a request are milliseconds apart; if more than this, the process did not run.
constexpr std::chrono::milliseconds kStall{500};

std::string name(detail::Operation operation) {
  return concat(operation.name, " ", operation.number);
}

std::string seconds(std::chrono::steady_clock::duration duration) {
  const double tenths = std::chrono::duration<double, std::deci>(duration).count();
  return concat(std::round(tenths) / 10, " s");
}

}  // namespace

RankWatch::RankWatch(const Mesh& mesh, std::chrono::milliseconds patience, Pulse& pulse)
    : patience_(patience), pulse_(pulse), roll_call_(mesh) {}

void RankWatch::wait_after_work(MPI_Request& request, detail::Operation operation) {
  wait(request, operation, 2 * (Clock::now() - last_answer_));
}

void RankWatch::wait(MPI_Request& request,
                     detail::Operation operation,
                     std::chrono::nanoseconds allowed) {
  const auto begin = Clock::now();
  auto late = begin + allowed + std::min(kLate, patience_ / 3);
  auto lost = begin + allowed + patience_;
  bool is_late = false;
  pulse_.waits(late);
  for (auto now = begin;;) {
    int done = 0;
    RUBATO_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    const auto step = Clock::now() - now;
    now += step;
    if (done != 0) {
      last_answer_ = now;
      pulse_.answered(now);
      return;
    }
    const bool stalled = step > kStall;
    if (stalled) {
      late += step;
      lost += step;
    }
    if ((stalled || now > late) && roll_call_.called()) end_with_the_others(operation);
    if (now > late && !std::exchange(is_late, true))
      log_warning(concat("waiting for another rank in ", name(operation)));
    if (now > lost) give_up(operation, now - begin);
    detail::pause(now - begin);
  }
}

void RankWatch::give_up(detail::Operation operation, Clock::duration waited) {
  const auto answers = roll_call_.take(name(operation));
  log_error(concat(detail::describe(answers),
                   "; waited ",
                   seconds(waited),
                   " in ",
                   name(operation),
                   "; ending the job"));
  std::_Exit(kMissedDeadline);
}

void RankWatch::end_with_the_others(detail::Operation operation) {
  roll_call_.take(name(operation));
  log_warning("another rank has given up waiting; ending with it");
  std::_Exit(kMissedDeadline);
}

}  // namespace rubato
