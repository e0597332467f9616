#pragma once

#include <random>
#include <string>
#include <vector>

#include "runtime/engine/generation.h"
#include "tests/support/checkpoint_builder.h"

namespace rubato::testing {

/// A random network on which attention is sharp enough to drift.
TestModel sharp_model(std::uint64_t seed);

/// A random request over all policies and parameters, reproducible from the generator.
GenerationRequest random_request(std::mt19937_64& random, const ModelConfig& config);

/// A model and what is asked of it.
struct World {
  std::string name;
  TestModel model;
  std::vector<GenerationRequest> requests;
};

/// Models that differ in what they make decoding meet: EOS early, late or never; MASK picked for a
/// masked position; confidences spread out, or close to 1.
std::vector<World> worlds();

}  // namespace rubato::testing
