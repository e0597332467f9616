// What follows from the algorithms, whatever the model says.
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include "tests/exactness/comparison.h"

namespace rubato::testing {
namespace {

using reference::Caches;
using reference::decode;
using reference::Decoded;
using reference::Network;

/// The requests of all worlds but with this policy; `change` alters each further.
std::vector<World> worlds_under(std::string_view policy,
                                std::size_t count,
                                const std::function<void(GenerationRequest&)>& change = {}) {
  std::vector<World> all = worlds();
  for (World& world : all) {
    world.requests.resize(count);
    for (GenerationRequest& request : world.requests) {
      request.policy.policy = find_policy(policy);
      if (change) change(request);
    }
  }
  return all;
}

TEST(Facts, RefreshingEverythingEachStepEqualsPlainDecodingWithTheSameWindow) {
  const auto each_step = [](GenerationRequest& request) { request.policy.refresh_every = 1; };
  for (const World& world : worlds_under("interval", 12, each_step)) {
    const Network network(world.model);
    Loaded loaded(world.model, /*tp=*/2);
    for (std::size_t i = 0; i < world.requests.size(); ++i) {
      const Decoded plain = decode(network, world.requests[i], {.whole_window = true});
      expect_same(plain, loaded.generate(world.requests[i]), describe(world, i));
    }
  }
}

TEST(Facts, FlashEqualsPlainDecodingWhereItsBudgetsCutOff) {
  World world = std::move(worlds_under("flash", 1)[0]);
  GenerationRequest& request = world.requests[0];
  std::mt19937_64 random(5);
  request.prompt.resize(90);
  for (TokenId& id : request.prompt) id = static_cast<TokenId>(random() % 90);
  request.max_tokens = 100;
  request.policy.window = 16;
  request.commit = {.rule = CommitRule::kSchedule, .steps = 25};
  request.ignore_eos = true;
  const Network network(world.model);
  Loaded loaded(world.model, /*tp=*/2);
  const Decoded plain = decode(network, request);
  const Generated found = loaded.generate(request);
  expect_same(plain, found, describe(world, 0));
  for (const StepTrace& step : std::span(found.trace).subspan(1))
    EXPECT_EQ(step.tracked.size(), 64u);
}

TEST(Facts, DriftInTheLastTwoLayersChangesNothingThatIsUsed) {
  int told_apart = 0;
  const auto often = [](GenerationRequest& request) { request.policy.gamma = 0.9; };
  for (const World& world : worlds_under("elastic", 24, often)) {
    const Network network(world.model);
    Loaded loaded(world.model, /*tp=*/1);
    for (const GenerationRequest& request : world.requests) {
      const int num_layers = network.num_layers();
      const Decoded untested = decode(network, request, {.untested_from_layer = num_layers - 2});
      const Generated found = loaded.generate(request);
      std::int64_t refreshes = 0, layers = 0;
      ASSERT_EQ(untested.steps.size(), found.trace.size());
      for (std::size_t i = 0; i < found.trace.size(); ++i) {
        EXPECT_EQ(untested.steps[i].trace.committed, found.trace[i].committed);
        EXPECT_EQ(untested.steps[i].trace.tracked, found.trace[i].tracked);
        const std::optional<int> boundary = untested.steps[i].trace.boundary;
        told_apart += boundary != found.trace[i].boundary;
        refreshes += boundary.has_value();
        layers += boundary ? num_layers - *boundary : 0;
      }
      EXPECT_EQ(found.stats.refreshes, refreshes);
      EXPECT_EQ(found.stats.layers_refreshed, layers);
    }
  }
  EXPECT_GE(told_apart, 10) << "too few such layers drifted";
}

TEST(Facts, AGammaAboveOneRefreshesFromLayerOneInEveryReuseStep) {
  const auto always = [](GenerationRequest& request) { request.policy.gamma = 1.5; };
  for (const World& world : worlds_under("elastic", 12, always)) {
    Loaded loaded(world.model, /*tp=*/1);
    for (const GenerationRequest& request : world.requests) {
      const Generated found = loaded.generate(request);
      for (std::size_t i = 0; i < found.trace.size(); ++i) {
        EXPECT_EQ(found.trace[i].boundary, i == 0 ? 0 : 1);
        EXPECT_EQ(found.trace[i].similarity.size(), i == 0 ? 0 : 1);
      }
    }
  }
}

/// One layer's rows of one kind as a rank has them.
at::Tensor rows_at(void* first, std::int64_t length, std::int64_t width) {
  return at::from_blob(first, {length, width}, at::kFloat);
}

/// The caches of all ranks joined, as the reference has them, for a lone request of this length.
Caches joined_caches(const LocalEngine& engine, int tp, std::int64_t length) {
  Caches joined;
  const std::int64_t heads = engine.config().n_heads;
  for (int layer = 0; layer < engine.config().n_layers; ++layer) {
    std::vector<at::Tensor> x, q, k, v;
    for (int rank = 0; rank < tp; ++rank) {
      const CacheStore& cache = engine.cache(rank);
      const std::int64_t width = cache.shape().head_width;
      x.push_back(rows_at(cache.x(layer, 0), length, cache.shape().hidden_width));
      q.push_back(rows_at(cache.q(layer, 0), length, width));
      k.push_back(rows_at(cache.k(layer, 0), length, width));
      v.push_back(rows_at(cache.v(layer, 0), length, width));
    }
    const auto by_head = [&](const std::vector<at::Tensor>& parts) {
      return at::cat(parts, 1).view({length, heads, -1}).transpose(0, 1);
    };
    joined.x.push_back(at::cat(x, 1));
    joined.q.push_back(by_head(q));
    joined.k.push_back(by_head(k));
    joined.v.push_back(by_head(v));
  }
  return joined;
}

/// The positions before `end` of a layer's cache, along the dimension that counts positions.
std::vector<at::Tensor> before(Position end, std::vector<at::Tensor> layers, int positions) {
  for (at::Tensor& layer : layers) layer = layer.narrow(positions, 0, end);
  return layers;
}

double distance(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double scale = std::max(1.0, b[i].abs().max().item<double>());
    most = std::max(most, (a[i] - b[i]).abs().max().item<double>() / scale);
  }
  return most;
}

class CachesAtTensorParallelSize : public ::testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(, CachesAtTensorParallelSize, ::testing::Values(1, 2));

TEST_P(CachesAtTensorParallelSize, HoldAfterEachStepWhatTestingInsideTheLayerLoopLeaves) {
  int compared = 0;
  for (World& world : worlds()) {
    world.requests.resize(16);
    const Network network(world.model);
    Loaded loaded(world.model, GetParam());
    for (const GenerationRequest& request : world.requests) {
      std::vector<Caches> expected;
      const Decoded decoded = decode(network, request, {}, [&](const Caches& caches) {
        Caches& copy = expected.emplace_back(caches);
        for (auto* list : {&copy.x, &copy.q, &copy.k, &copy.v})
          for (at::Tensor& tensor : *list) tensor = tensor.clone();
      });
      if (std::ranges::min(decoded.steps, {}, &reference::Step::margin).margin < kTie) continue;
      ++compared;
      double most = 0;
      std::size_t step = 0;
      loaded.engine->generate({request}, [&](std::size_t) {
        if (step++ >= expected.size()) return;
        const Position reach = decoded.steps[step - 1].reach;
        const Caches found = joined_caches(*loaded.engine, GetParam(), reach);
        const Caches& wanted = expected[step - 1];
        most = std::max({most,
                         distance(found.x, before(reach, wanted.x, 0)),
                         distance(found.q, before(reach, wanted.q, 1)),
                         distance(found.k, before(reach, wanted.k, 1)),
                         distance(found.v, before(reach, wanted.v, 1))});
      });
      EXPECT_EQ(step, expected.size());
      EXPECT_LT(most, 1e-4);
    }
  }
  EXPECT_GE(compared, 40) << "too many left out for a tie";
}

}  // namespace
}  // namespace rubato::testing
