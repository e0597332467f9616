// What the GPU says of rows of logits, against the plain definition.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "runtime/decoding/noise.h"
#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

class CudaVocabulary : public GpuTest {};

struct Asked {
  int width, groups, first_id, mask_id;
  std::vector<float> logits;
  std::vector<RowQuestion> questions;

  int rows() const { return static_cast<int>(questions.size()); }
  int group_size() const { return width / groups; }
};

std::vector<double> describe(const Asked& asked, Element element = Element::kFloat32) {
  OnGpu<float> logits(asked.logits);
  OnGpu<RowQuestion> questions(asked.questions);
  OnGpu<double> scratch(std::vector<double>(vocabulary_scratch_size(asked.rows(), asked.groups))),
      numbers(std::vector<double>(asked.rows() * (6 + 2 * asked.groups)));
  describe_vocabulary({.logits = logits.get(),
                       .questions = questions.get(),
                       .rows = asked.rows(),
                       .width = asked.width,
                       .groups = asked.groups,
                       .first_id = asked.first_id,
                       .mask_id = asked.mask_id,
                       .scratch = scratch.get(),
                       .numbers = numbers.get()},
                      element,
                      nullptr);
  return numbers.read();
}

double score_of(const RowQuestion& question, float logit, int id) {
  if (question.temperature == 0) return logit;
  return logit / question.temperature +
         gumbel_noise(question.seed, question.step, question.position, id);
}

void expect_right(const Asked& asked, Element element = Element::kFloat32) {
  const std::vector<double> found = describe(asked, element);
  for (int row = 0; row < asked.rows(); ++row) {
    const RowQuestion& question = asked.questions[row];
    std::vector<float> logits(asked.width);
    for (int i = 0; i < asked.width; ++i)
      logits[i] = as_stored(asked.logits[row * asked.width + i], element);
    const double* out = found.data() + row * (6 + 2 * asked.groups);
    int pick = -1, unmasked = -1;
    double best = -INFINITY;
    for (int i = 0; i < asked.width; ++i) {
      const double score = score_of(question, logits[i], asked.first_id + i);
      if (score > best) best = score, pick = i;
      if (asked.first_id + i != asked.mask_id && (unmasked < 0 || logits[i] > logits[unmasked]))
        unmasked = i;
    }
    EXPECT_NEAR(out[0], best, 1e-9 * std::abs(best));
    EXPECT_EQ(out[1], logits[pick]);
    EXPECT_EQ(out[2], asked.first_id + pick) << "row " << row << " at " << question.temperature;
    EXPECT_EQ(out[4], logits[unmasked]);
    EXPECT_EQ(out[5], asked.first_id + unmasked);
    for (int group = 0; group < asked.groups; ++group) {
      const float* begin = logits.data() + group * asked.group_size();
      const float most = *std::max_element(begin, begin + asked.group_size());
      double sum = 0;
      for (int i = 0; i < asked.group_size(); ++i) sum += std::exp(double{begin[i]} - most);
      EXPECT_EQ(out[6 + 2 * group], most);
      EXPECT_NEAR(out[7 + 2 * group], sum, 1e-6 * sum);
    }
  }
}

TEST_F(CudaVocabulary, SaysOfEachRowWhatTheDefinitionSays) {
  for (const auto& [width, groups, first_id] : {std::tuple{8, 8, 1000},
                                                {24, 4, 1002},  // not in fours
                                                {800, 8, 1001},
                                                {6000, 2, 1000},
                                                {2002, 1, 0}}) {
    Asked asked{width,
                groups,
                first_id,
                first_id + 3,
                random_values(4 * width, 1, Element::kFloat32, 3),
                {}};
    asked.questions = {{0, 0, 0, 0}, {0.7, 123456789012345, 3, 40}, {1.0, 5, 0, 7}, {0, 0, 0, 0}};
    asked.logits[3 * width + 3] = 50;  // MASK is the best
    for (const Element element : kElements) expect_right(asked, element);
  }
}

TEST_F(CudaVocabulary, SamplesAreTheDefinitionsAtAnyTemperature) {
  constexpr int kWidth = 512;
  Asked asked{kWidth, 2, 4000, 0, {}, {}};
  for (const double temperature :
       {1e-280, 1e-30, 1e-6, 0.01, 0.5, 1.0, 2.0, 50.0, 1e6, 1e38, 1e300}) {
    for (const float deviation : {0.0f, 2.0f, 1e20f}) {
      const auto logits = random_values(kWidth, asked.rows(), Element::kFloat32, deviation);
      asked.logits.insert(asked.logits.end(), logits.begin(), logits.end());
      asked.questions.push_back({temperature, 77, 1, asked.rows()});
    }
  }
  asked.logits[5] = asked.logits[kWidth + 5] = -1e30f;  // "never"
  expect_right(asked);
}

/// The position where an id's noise is the greatest of the first `count`.
Position loudest_position(std::uint64_t seed, int id, int count) {
  std::vector<double> noise;
  for (Position position = 0; position < count; ++position)
    noise.push_back(gumbel_noise(seed, 0, position, id));
  return static_cast<Position>(std::ranges::max_element(noise) - noise.begin());
}

TEST_F(CudaVocabulary, GreatNoiseLiftsAnIdJustOverTheBest) {
  constexpr int kWidth = 64, kBest = 20, kLifted = 9;
  for (const double temperature : {1e-4, 0.3, 1.0, 7.0}) {
    Asked asked{kWidth, 1, 0, 0, {}, {}};
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const Position position = loudest_position(seed, kLifted, 20'000);
      const RowQuestion question{temperature, seed, 0, position};
      const double ahead = score_of(question, 0, kLifted) - score_of(question, 0, kBest);
      ASSERT_GT(ahead, 5);
      std::vector<float> logits(kWidth, static_cast<float>(-60 * temperature));
      logits[kLifted] = 0;
      logits[kBest] = static_cast<float>(ahead * temperature * (1 - 1e-6));
      asked.logits.insert(asked.logits.end(), logits.begin(), logits.end());
      asked.questions.push_back(question);
    }
    const std::vector<double> found = describe(asked);
    for (int row = 0; row < asked.rows(); ++row) EXPECT_EQ(found[row * 8 + 2], kLifted);
    expect_right(asked);
  }
}

TEST_F(CudaVocabulary, OfARowThatIsNearlySureTheRestIsKept) {
  Asked asked{4096, 1, 0, 5, std::vector<float>(4096, -22.0f), {{}}};
  asked.logits[1234] = 0;
  const double rest = 4095 * std::exp(-22.0);
  EXPECT_NEAR(describe(asked)[7] - 1, rest, 1e-6 * rest);
}

TEST_F(CudaVocabulary, LogitsOfMinusInfinityCountNothing) {
  Asked asked{64, 2, 3, 5, random_values(64, 2, Element::kFloat32), {{}}};
  for (int i = 0; i < 64; i += 2) asked.logits[i] = -INFINITY;
  expect_right(asked);
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
