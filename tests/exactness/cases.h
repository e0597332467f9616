#pragma once

#include <random>
#include <vector>

#include "runtime/engine/generation.h"
#include "tests/support/checkpoint_builder.h"

namespace rubato::testing {

/// A random network on which attention is sharp enough to drift, with EOS and MASK likely enough to
/// be met.
inline TestModel sharp_model(std::uint64_t seed) {
  ModelConfig config =
      small_config(/*n_layers=*/5, /*d_model=*/64, /*n_heads=*/8, /*mlp=*/96, /*vocab=*/96);
  return random_model(config, seed, /*projection_std=*/0.25);
}

/// A random request over all policies and parameters, reproducible from the generator.
inline GenerationRequest random_request(std::mt19937_64& random, const ModelConfig& config) {
  const auto pick = [&random](auto... values) {
    const std::array options{values...};
    return options[random() % options.size()];
  };
  GenerationRequest request;
  request.prompt.resize(1 + random() % 20);
  for (TokenId& id : request.prompt) id = static_cast<TokenId>(random() % (config.vocab_size - 3));
  request.max_tokens = pick(4, 8, 16, 24, 40);
  request.policy.policy = policies()[random() % policies().size()];
  request.policy.window = pick(1, 3, 8, 16);
  request.policy.gamma = pick(0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.5);
  request.policy.drift = pick(DriftMeasure::kHeads, DriftMeasure::kRows);
  request.policy.track = pick(1, 2, 5, 30);
  request.policy.refresh_every = pick(1, 2, 5);
  request.policy.block_length = pick(4, 8, 32);
  request.commit.rule = pick(
      CommitRule::kThreshold, CommitRule::kThreshold, CommitRule::kSchedule, CommitRule::kFactor);
  request.commit.threshold = pick(0.2, 0.5, 0.9);
  request.commit.steps = 1 + static_cast<int>(random() % request.max_tokens);
  request.commit.factor = pick(0.5, 1.0, 2.0);
  request.sampling.temperature = pick(0.0, 0.0, 0.0, 0.7, 1.0);
  request.sampling.top_p = pick(1.0, 1.0, 0.8);
  request.sampling.top_k = pick(0, 0, 5);
  request.sampling.seed = random();
  request.ignore_eos = random() % 3 == 0;
  request.trace = true;
  return request;
}

}  // namespace rubato::testing
