// What the GPU says of rows of logits, against the plain definition.
#include <algorithm>
#include <cmath>

#include "runtime/decoding/noise.h"
#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

class CudaVocabulary : public GpuTest {};

struct Asked {
  int width, groups, first_id, mask_id;
  std::vector<float> logits;
  std::vector<RowQuestion> questions;
};

std::vector<double> describe(const Asked& asked) {
  const int rows = static_cast<int>(asked.questions.size());
  OnGpu<float> logits(asked.logits);
  OnGpu<RowQuestion> questions(asked.questions);
  OnGpu<double> scratch(std::vector<double>(vocabulary_scratch_size(rows, asked.groups))),
      numbers(std::vector<double>(rows * (6 + 2 * asked.groups)));
  describe_vocabulary({.logits = logits.get(),
                       .questions = questions.get(),
                       .rows = rows,
                       .width = asked.width,
                       .groups = asked.groups,
                       .first_id = asked.first_id,
                       .mask_id = asked.mask_id,
                       .scratch = scratch.get(),
                       .numbers = numbers.get()},
                      nullptr);
  return numbers.read();
}

void expect_right(const Asked& asked) {
  const std::vector<double> found = describe(asked);
  const int numbers = 6 + 2 * asked.groups;
  for (std::size_t row = 0; row < asked.questions.size(); ++row) {
    const RowQuestion& question = asked.questions[row];
    const float* logits = asked.logits.data() + row * asked.width;
    const double* out = found.data() + row * numbers;
    int pick = -1, unmasked = -1;
    double best = -INFINITY;
    for (int i = 0; i < asked.width; ++i) {
      double score = logits[i];
      if (question.temperature > 0) {
        score = logits[i] / question.temperature +
                gumbel_noise(question.seed, question.step, question.position, asked.first_id + i);
      }
      if (score > best) best = score, pick = i;
      if (asked.first_id + i != asked.mask_id && (unmasked < 0 || logits[i] > logits[unmasked]))
        unmasked = i;
    }
    EXPECT_NEAR(out[0], best, 1e-9 * std::abs(best));
    EXPECT_EQ(out[1], logits[pick]);
    EXPECT_EQ(out[2], asked.first_id + pick);
    EXPECT_EQ(out[4], logits[unmasked]);
    EXPECT_EQ(out[5], asked.first_id + unmasked);
    const int size = asked.width / asked.groups;
    for (int group = 0; group < asked.groups; ++group) {
      const float* begin = logits + group * size;
      const float most = *std::max_element(begin, begin + size);
      double sum = 0;
      for (int i = 0; i < size; ++i) sum += std::exp(double{begin[i]} - most);
      EXPECT_EQ(out[6 + 2 * group], most);
      EXPECT_NEAR(out[7 + 2 * group], sum, 1e-6 * sum);
    }
  }
}

TEST_F(CudaVocabulary, SaysOfEachRowWhatTheDefinitionSays) {
  for (const auto& [width, groups] : {std::pair{8, 8}, {24, 4}, {800, 8}, {6000, 2}}) {
    Asked asked{width, groups, 1000, 1003, random_values(4 * width, 1, Element::kFloat32, 3), {}};
    asked.questions = {{0, 0, 0, 0}, {0.7, 123456789012345, 3, 40}, {1.0, 5, 0, 7}, {0, 0, 0, 0}};
    asked.logits[3 * width + 3] = 50;  // MASK is the best
    expect_right(asked);
  }
}

TEST_F(CudaVocabulary, TiesGoToTheLowestId) {
  Asked asked{1600, 8, 0, 5, std::vector<float>(1600, -1.0f), {{}}};
  for (const int id : {5, 300, 301, 1599}) asked.logits[id] = 2;
  const std::vector<double> found = describe(asked);
  EXPECT_EQ(found[2], 5);
  EXPECT_EQ(found[5], 300);
}

TEST_F(CudaVocabulary, TheSumOfAGroupIsNoNumberWhereALogitIsNone) {
  for (const float bad : {NAN, INFINITY}) {
    for (const double temperature : {0.0, 1.0}) {
      Asked asked{1600, 8, 0, 5, std::vector<float>(1600, -1.0f), {{temperature, 0, 0, 0}}};
      asked.logits[200] = bad;  // the first of its group
      asked.logits[555] = bad;
      const std::vector<double> found = describe(asked);
      for (int group = 0; group < 8; ++group)
        EXPECT_EQ(std::isfinite(found[7 + 2 * group]), group != 1 && group != 2);
    }
  }
}

TEST_F(CudaVocabulary, LogitsAreRoundedThenChanged) {
  std::vector<float> logits{1.001f, 2.002f, 3.003f, 4.004f};
  OnGpu<LogitChange> changes({{0, 1, 0.25f, 0}, {1, 0, 0, 1}});
  for (const Element element : kElements) {
    OnGpu<float> device(logits);
    finish_logits(device.get(), 4, 2, changes.get(), 2, element, nullptr);
    const std::vector<float> found = device.read();
    EXPECT_EQ(found[0], as_stored(logits[0], element));
    EXPECT_EQ(found[1], as_stored(logits[1], element) + 0.25f);
    EXPECT_EQ(found[2], -1e30f);
    EXPECT_EQ(found[3], as_stored(logits[3], element));
  }
}

}  // namespace
}  // namespace rubato::cuda::testing
