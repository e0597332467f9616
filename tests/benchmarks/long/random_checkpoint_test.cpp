#include "benchmarks/long/random_checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/checkpoint/checkpoint.h"

namespace rubato {
namespace {

constexpr RandomShape kSmall{.layers = 2, .width = 64, .heads = 4, .mlp = 96, .vocabulary = 40};

std::vector<float> values_of(const Checkpoint& checkpoint, TensorKind kind, int layer) {
  const TensorView tensor = checkpoint.tensor(kind, layer);
  std::vector<float> out(static_cast<std::size_t>(tensor.whole().size()));
  copy_slice(tensor, tensor.whole(), out.data());
  return out;
}

double deviation(const std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (const float value : values) sum += value, squares += double(value) * value;
  const auto n = static_cast<double>(values.size());
  return std::sqrt(squares / n - sum / n * (sum / n));
}

TEST(RandomCheckpoint, OpensAsAModelOfThatShape) {
  const auto written = RandomCheckpoint::write(kSmall);
  ASSERT_TRUE(written.ok()) << written.error().message;
  const auto opened = Checkpoint::open(written->folder());
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ(opened->config(), config_of(kSmall));
}

TEST(RandomCheckpoint, HasWeightsThatKeepARowsSizeAndDifferByTensor) {
  const auto written = RandomCheckpoint::write(kSmall);
  ASSERT_TRUE(written.ok());
  const auto opened = Checkpoint::open(written->folder());
  ASSERT_TRUE(opened.ok());
  const auto value = values_of(*opened, TensorKind::kValue, 0);
  EXPECT_NEAR(deviation(value), 1 / std::sqrt(64), 0.005);
  EXPECT_NEAR(deviation(values_of(*opened, TensorKind::kQuery, 1)), 2 / std::sqrt(64), 0.01);
  EXPECT_NEAR(deviation(values_of(*opened, TensorKind::kDown, 0)), 1 / std::sqrt(96), 0.005);
  EXPECT_NE(value, values_of(*opened, TensorKind::kValue, 1));
  EXPECT_EQ(values_of(*opened, TensorKind::kMlpNorm, 1), std::vector<float>(64, 1.0f));
}

TEST(RandomCheckpoint, IsTheSameEachTimeAndGoesWithItsObject) {
  std::vector<float> first;
  std::filesystem::path folder;
  for (int i = 0; i < 2; ++i) {
    const auto written = RandomCheckpoint::write(kSmall);
    ASSERT_TRUE(written.ok());
    folder = written->folder();
    const auto opened = Checkpoint::open(folder);
    ASSERT_TRUE(opened.ok());
    const auto values = values_of(*opened, TensorKind::kGate, 1);
    if (i == 1) {
      EXPECT_EQ(values, first);
    }
    first = values;
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(RandomCheckpoint, SizesThatDoNotGoTogetherAreRefused) {
  RandomShape shape = kSmall;
  shape.heads = 3;
  EXPECT_EQ(RandomCheckpoint::write(shape).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace rubato
