#include "runtime/checkpoint/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using testing::CheckpointOptions;
using testing::random_model;
using testing::small_config;
using testing::TemporaryFolder;
using testing::TestModel;

std::vector<Trait> fingerprint_of(const TestModel& model, const CheckpointOptions& options = {}) {
  const TemporaryFolder folder;
  write_checkpoint(folder.path(), model, options);
  const auto checkpoint = Checkpoint::open(folder.path());
  EXPECT_TRUE(checkpoint.ok());
  return fingerprint(*checkpoint);
}

/// The names of the traits by which two fingerprints differ.
std::vector<std::string> differences(const std::vector<Trait>& a, const std::vector<Trait>& b) {
  std::vector<std::string> names;
  EXPECT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] != b[i]) names.push_back(a[i].name);
  }
  return names;
}

using ::testing::ElementsAre;

TEST(Fingerprint, IsTheSameOfTwoCopies) {
  const TestModel model = random_model(small_config(), 7);
  EXPECT_EQ(fingerprint_of(model), fingerprint_of(model));
}

TEST(Fingerprint, SeesTheFirstAndTheLastValueOfEveryTensor) {
  const TestModel model = random_model(small_config(), 7);
  const std::vector<Trait> original = fingerprint_of(model);
  for (const auto& [name, values] : model.tensors) {
    for (const bool first : {true, false}) {
      TestModel tuned = model;
      (first ? tuned.tensors[name].front() : tuned.tensors[name].back()) += 0.5f;
      EXPECT_THAT(differences(original, fingerprint_of(tuned)), ElementsAre("sampled weights"))
          << name;
    }
  }
}

TEST(Fingerprint, SeesAnotherTypeNamingOrCutOfTheSameValues) {
  const TestModel model = random_model(small_config(), 7);
  const std::vector<Trait> original = fingerprint_of(model);
  EXPECT_THAT(differences(original, fingerprint_of(model, {DType::kBFloat16})),
              ElementsAre("dtype", "weight files", "tensor headers", "sampled weights"));
  EXPECT_THAT(
      differences(original, fingerprint_of(model, {DType::kFloat32, Naming::kHuggingFaceLlama})),
      ElementsAre("weight files", "tensor headers"));
  EXPECT_THAT(differences(original, fingerprint_of(model, {DType::kFloat32, Naming::kLlada, 2})),
              ElementsAre("weight files", "tensor headers"));
}

TEST(Fingerprint, NamesTheFieldsOfTheConfiguration) {
  const TestModel model = random_model(small_config(), 7);
  TestModel longer = model;
  longer.config.max_sequence_length *= 2;
  longer.config.rope_theta += 1e-9 * longer.config.rope_theta;
  EXPECT_THAT(differences(fingerprint_of(model), fingerprint_of(longer)),
              ElementsAre("max_sequence_length", "rope_theta"));
}

}  // namespace
}  // namespace rubato
