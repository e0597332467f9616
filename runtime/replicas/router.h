#pragma once

#include <vector>

#include "runtime/engine/generation.h"

namespace rubato {

/// Several replicas as one client: a generation goes to the ready replica with the fewest
/// outstanding canvas positions (ties to the first); if its queue is full, to the next. The
/// replicas outlive the router. Any thread.
class Router final : public GenerationClient {
 public:
  explicit Router(std::vector<GenerationClient*> replicas) : replicas_(std::move(replicas)) {}

  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) override;

  /// Ready when all are; counts added up.
  EngineStatus status() const override;
  std::vector<EngineStatus> replicas() const override;

 private:
  std::vector<GenerationClient*> least_loaded_first() const;

  const std::vector<GenerationClient*> replicas_;
};

}  // namespace rubato
