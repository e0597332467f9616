#pragma once

#include <vector>

#include "runtime/engine/generation.h"

namespace rubato {

/// Several replicas as one: a generation goes to the ready one with the fewest canvas positions
/// outstanding, ties to the first; where that one's queue is full, to the next. Replicas outlive
/// it. Any thread.
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
