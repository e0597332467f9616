#include "runtime/engine/step_loop.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/runtime/engine/requests.h"

namespace rubato::testing {
namespace {

/// A model whose device fails in the first pass.
class BrokenModel final : public Model {
 public:
  const ModelShape& shape() const override { return shape_; }
  void reuse_pass(std::span<const StepSequence>) override {
    throw std::runtime_error("out of memory");
  }
  std::vector<std::vector<double>> reduce(std::span<const StepSequence>) override { return {}; }
  void refresh(std::span<const StepSequence>, std::span<const int>) override {}
  void compute_logits(std::span<const StepSequence>) override {}
  std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence>, TokenId) override {
    return {};
  }
  std::span<const float> attention_mass(int) override { return {}; }

 private:
  const ModelShape shape_ = {};
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

}  // namespace
}  // namespace rubato::testing
