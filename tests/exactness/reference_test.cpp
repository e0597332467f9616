// The engine against an independent reference (tests/support/reference): unsharded, one sequence at
// a time, with the drift test inside the loop over layers.
#include <gtest/gtest.h>

#include "tests/exactness/comparison.h"
#include "tests/support/reference/noise.h"

namespace rubato::testing {
namespace {

using reference::decode;
using reference::Decoded;
using reference::Network;

TEST(ReferenceNoise, IsThePublishedGenerator) {  // known answers that Random123 is published with
  using reference::philox;
  using reference::Words;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

class AtTensorParallelSize : public ::testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(, AtTensorParallelSize, ::testing::Values(1, 2, 4));

TEST_P(AtTensorParallelSize, TheEngineMeetsTheReferenceAloneAndInMixedBatches) {
  int ties = 0;
  for (const World& world : worlds()) {
    const Network network(world.model);
    Loaded loaded(world.model, GetParam());
    const std::vector<Generated> together = loaded.engine->generate(world.requests);
    for (std::size_t i = 0; i < world.requests.size(); ++i) {
      const Decoded expected = decode(network, world.requests[i]);
      const std::string what = describe(world, i);
      ties += expect_same(expected, loaded.generate(world.requests[i]), what + " alone");
      ties += expect_same(expected, together[i], what + " in a batch");
    }
  }
  EXPECT_LE(ties, 4) << "more than chance would bring";
  RecordProperty("ties", ties);
}

}  // namespace
}  // namespace rubato::testing
