#pragma once

#include <string>

#include "tests/exactness/cases.h"
#include "tests/support/engine/local_engine.h"
#include "tests/support/reference/decoder.h"
#include "tests/support/temporary_folder.h"

namespace rubato::testing {

/// A margin (tests/support/reference/margin.h) below which a decision is a tie up to rounding.
inline constexpr double kTie = 1e-5;

/// An engine over a model.
struct Loaded {
  TemporaryFolder folder;
  std::unique_ptr<LocalEngine> engine;

  Loaded(const TestModel& model, int tp);
  Generated generate(const GenerationRequest& request) {
    return engine->generate({request}).front();
  }
};

/// Compares an engine's answer with the reference's, step by step: boundary, tracked, committed;
/// similarity within 1e-5; then the canvas. The two may part at a step whose margin is a tie;
/// returns whether they did.
bool expect_same(const reference::Decoded& expected,
                 const Generated& found,
                 const std::string& what);

/// Compares two answers of engines: canvas, stats, and the trace step by step, to the last bit.
void expect_same(const Generated& a, const Generated& b, const std::string& what);

/// For messages: the request's place and policy.
std::string describe(const World& world, std::size_t request);

}  // namespace rubato::testing
