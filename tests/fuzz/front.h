#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "http/session.h"
#include "runtime/engine/generation.h"

namespace rubato::fuzz {

/// An engine that commits a token of every kind in turn, all in the call that submits.
class InstantEngine final : public GenerationClient {
 public:
  explicit InstantEngine(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) override;
  EngineStatus status() const override { return {.ready = true}; }

  /// What it answers.
  GenerationUpdate update_of(const GenerationRequest& request) const;

 private:
  const Tokenizer& tokenizer_;
};

/// The front end that the targets share: the embedded model's, with a small context.
class Front {
 public:
  Front();

  const SessionContext& session(bool with_keys) const { return with_keys ? locked_ : open_; }
  ApiContext api() const { return served_.api; }

  const Tokenizer tokenizer;
  const ServedModel model;
  InstantEngine engine;

 private:
  const ChatTemplate chat_template_;
  const GenerationDefaults defaults_;
  const Served served_;
  const std::atomic<const Served*> there_{&served_};
  ServerConfig open_config_, locked_config_;
  std::atomic<int> active_requests_{0};
  ServerMetrics metrics_;
  const SessionContext open_, locked_;
};

/// Made at the first call.
Front& front();

}  // namespace rubato::fuzz
