#include "runtime/engine/step_loop.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/runtime/engine/requests.h"

namespace rubato::testing {
namespace {

/// A model that computes nothing.
class IdleModel : public Model {
 public:
  const ModelShape& shape() const override { return shape_; }
  void reuse_pass(std::span<const StepSequence>) override {}
  std::vector<std::vector<double>> reduce(std::span<const StepSequence> sequences) override {
    return std::vector<std::vector<double>>(sequences.size());
  }
  void refresh(std::span<const StepSequence>, std::span<const int>) override {}
  void compute_logits(std::span<const StepSequence>) override {}
  std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence>, TokenId) override {
    return {};
  }
  std::span<const float> attention_mass(int) override { return {}; }

 private:
  const ModelShape shape_ = {};
};

/// One whose device fails in the first pass.
class BrokenModel final : public IdleModel {
 public:
  void reuse_pass(std::span<const StepSequence>) override {
    throw std::runtime_error("out of memory");
  }
};

/// One whose logits are not finite from a sequence's second step on, if its prompt begins with
/// `kBad`.
class DamagedModel final : public IdleModel {
 public:
  static constexpr TokenId kBad = 66, kGood = 5;

  std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence> sequences,
                                                 TokenId) override {
    std::vector<std::vector<Candidate>> all;
    for (const StepSequence& sequence : sequences) {
      const bool bad = sequence.canvas[0] == kBad && sequence.step > 0;
      auto& mine = all.emplace_back();
      for (const Position position : sequence.query.eligible)
        mine.push_back({.position = position,
                        .token = bad ? -1 : kGood,
                        .confidence = 1.0 / (1 + position),  // one is the highest
                        .finite = !bad});
    }
    return all;
  }
};

TEST(StepLoop, WhatWasAcceptedIsToldWhenTheModelThrows) {
  Coordinator coordinator({.scheduler = {.cache_tokens = 40}, .max_context = 32});
  std::vector<GenerationUpdate> news;
  const auto handle = coordinator.submit(
      request_of(2, 4), [&](const GenerationUpdate& update) { news.push_back(update); });
  ASSERT_TRUE(handle.ok());
  BrokenModel model;
  SingleControlChannel control;
  const Status status = StepLoop(model, control, {.mask = 99, .eos = 98}, &coordinator).run();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "the engine failed: out of memory");
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news.front().error->message, "the engine failed: out of memory");
}

TEST(StepLoop, AGenerationWhoseLogitsAreNotFiniteEndsAloneWithAnError) {
  Coordinator coordinator({.scheduler = {.cache_tokens = 40}, .max_context = 32});
  std::vector<GenerationUpdate> bad, good;
  const auto submit = [&](TokenId first, std::vector<GenerationUpdate>& news) {
    GenerationRequest request = request_of(2, 4, "none");
    request.prompt[0] = first;
    request.commit.threshold = 1;  // one token a step
    return coordinator.submit(request,
                              [&news](const GenerationUpdate& update) { news.push_back(update); });
  };
  const auto first = submit(DamagedModel::kBad, bad), second = submit(DamagedModel::kGood, good);
  ASSERT_TRUE(first.ok() && second.ok());
  coordinator.shut_down(/*finish_running=*/true);
  DamagedModel model;
  SingleControlChannel control;
  const Status status = StepLoop(model, control, {.mask = 99, .eos = 98}, &coordinator).run();
  EXPECT_TRUE(status.ok());
  ASSERT_EQ(bad.size(), 2U);
  ASSERT_TRUE(bad.back().error);
  EXPECT_EQ(bad.back().error->code, Code::kInternal);
  EXPECT_EQ(bad.back().error->message, "the model's logits are not finite in step 1");
  ASSERT_EQ(good.size(), 4U);
  EXPECT_TRUE(good.back().finished);
}

TEST(StepLoop, SaysOnceWhenTheFirstStepIsDone) {
  Coordinator coordinator({.scheduler = {.cache_tokens = 40}, .max_context = 32});
  GenerationRequest request = request_of(2, 4, "none");
  request.commit.threshold = 1;  // one token a step
  int steps = 0;
  const auto handle = coordinator.submit(request, [&](const GenerationUpdate&) { ++steps; });
  ASSERT_TRUE(handle.ok());
  coordinator.shut_down(/*finish_running=*/true);
  DamagedModel model;
  SingleControlChannel control;
  std::vector<int> done_at;
  const Status status = StepLoop(model, control, {.mask = 99, .eos = 98}, &coordinator).run([&] {
    done_at.push_back(steps);
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(steps, 4);
  EXPECT_EQ(done_at, std::vector{1});
}

}  // namespace
}  // namespace rubato::testing
