#include "runtime/replicas/router.h"

#include <algorithm>
#include <utility>

namespace rubato {

std::vector<GenerationClient*> Router::least_loaded_first() const {
  struct Candidate {
    GenerationClient* replica;
    bool ready;
    std::int64_t load;
  };
  std::vector<Candidate> candidates;
  for (GenerationClient* replica : replicas_) {
    const EngineStatus status = replica->status();
    candidates.push_back({replica, status.ready, status.outstanding_tokens});
  }
  std::ranges::stable_sort(candidates, [](const Candidate& a, const Candidate& b) {
    return std::pair(!a.ready, a.load) < std::pair(!b.ready, b.load);
  });
  std::vector<GenerationClient*> ordered;
  for (const Candidate& candidate : candidates) ordered.push_back(candidate.replica);
  return ordered;
}

Result<GenerationHandle> Router::submit(GenerationRequest request, UpdateSink sink) {
  Result<GenerationHandle> handle = Error{Code::kUnavailable, "no replica is there"};
  for (GenerationClient* replica : least_loaded_first()) {
    handle = replica->submit(request, sink);
    if (handle || handle.error().code != Code::kOverloaded) break;
  }
  return handle;
}

EngineStatus Router::status() const {
  EngineStatus total;
  total.ready = true;
  for (const GenerationClient* replica : replicas_) {
    const EngineStatus status = replica->status();
    total.ready = total.ready && status.ready;
    total.running += status.running;
    total.waiting += status.waiting;
    total.cache_tokens_total += status.cache_tokens_total;
    total.cache_tokens_used += status.cache_tokens_used;
    total.outstanding_tokens += status.outstanding_tokens;
    total.times += status.times;
    total.counters += status.counters;
  }
  return total;
}

std::vector<EngineStatus> Router::replicas() const {
  std::vector<EngineStatus> statuses;
  for (const GenerationClient* replica : replicas_) statuses.push_back(replica->status());
  return statuses;
}

}  // namespace rubato
