#include "tests/exactness/cases.h"

#include <algorithm>
#include <array>

namespace rubato::testing {
namespace {

constexpr int kRequestsPerWorld = 54;

/// Makes the head's rows of the ids [begin, end) longer, so that these ids win and lose by more.
void stretch(TestModel& model, TokenId begin, TokenId end, float factor) {
  std::vector<float>& head = model.at(TensorKind::kHead);
  const std::int64_t width = model.config.d_model;
  for (auto i = begin * width; i < end * width; ++i) head[i] *= factor;
}

}  // namespace

TestModel sharp_model(std::uint64_t seed) {
  const ModelConfig config =
      small_config(/*n_layers=*/5, /*d_model=*/64, /*n_heads=*/8, /*mlp=*/96, /*vocab=*/96);
  return random_model(config, seed, /*projection_std=*/0.25);
}

GenerationRequest random_request(std::mt19937_64& random, const ModelConfig& config) {
  const auto pick = [&random](auto... values) {
    const std::array options{values...};
    return options[random() % options.size()];
  };
  GenerationRequest request;
  request.prompt.resize(1 + random() % pick(4, 20, 20, 60));
  for (TokenId& id : request.prompt) id = static_cast<TokenId>(random() % (config.vocab_size - 3));
  request.max_tokens = pick(4, 8, 16, 24, 40);
  // elastic as often as the others together
  const std::size_t policy = random() % (2 * policies().size() - 2);
  request.policy.policy = policy < policies().size() ? policies()[policy] : find_policy("elastic");
  request.policy.window = pick(1, 3, 8, 16);
  request.policy.gamma = pick(0.0, 0.5, 0.8, 0.9, 0.9, 0.95, 0.99, 1.5);
  request.policy.drift = pick(DriftMeasure::kHeads, DriftMeasure::kHeads, DriftMeasure::kRows);
  request.policy.track = pick(1, 1, 2, 5, 30);
  request.policy.refresh_every = pick(1, 2, 5);
  request.policy.block_length = pick(4, 8, 32);
  request.policy.horizon = pick(1, 5, 8, 16, 64);
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

std::vector<World> worlds() {
  std::vector<World> worlds;
  const auto add = [&](std::string name, TestModel model) {
    std::mt19937_64 random(100 + worlds.size());
    World& world = worlds.emplace_back(std::move(name), std::move(model));
    for (int i = 0; i < kRequestsPerWorld; ++i)
      world.requests.push_back(random_request(random, world.model.config));
  };
  add("plain", sharp_model(7));
  TestModel model = sharp_model(8);
  stretch(model, model.config.eos_token_id, model.config.eos_token_id + 1, 3.5);
  add("eos", std::move(model));
  for (GenerationRequest& request : worlds.back().requests) {  // several commits a step
    request.policy.window = std::max(request.policy.window, 8);
    request.commit.threshold = 0.2;
    request.commit.steps = 1 + request.commit.steps / 4;
  }
  model = sharp_model(9);
  stretch(model, model.config.mask_token_id, model.config.mask_token_id + 1, 2.5);
  add("mask", std::move(model));
  model = sharp_model(10);
  stretch(model, 0, model.config.vocab_size, 16);
  add("sure", std::move(model));
  for (GenerationRequest& request : worlds.back().requests)  // the rule that sorts them
    if (request.commit.rule == CommitRule::kThreshold) request.commit.rule = CommitRule::kSchedule;
  return worlds;
}

}  // namespace rubato::testing
