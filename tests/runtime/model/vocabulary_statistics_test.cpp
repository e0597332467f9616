#include "runtime/model/vocabulary_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>
#include <utility>

#include "parallel/local_group.h"
#include "runtime/decoding/noise.h"

namespace rubato {
namespace {

constexpr int kVocabulary = 96;

/// One sequence with two eligible positions, and logits for them.
class VocabularyStatisticsTest : public ::testing::Test {
 protected:
  VocabularyStatisticsTest() {
    shape_.vocabulary = kVocabulary;
    std::mt19937_64 random(3);
    std::normal_distribution<float> normal(0, 4);
    logits_.resize(2 * kVocabulary);
    for (float& z : logits_) z = normal(random);
    sequence_.query.eligible = {20, 21};
    sequence_.sampling.seed = 5;
    sequence_.step = 4;
  }

  std::vector<Candidate> candidates(TokenId mask_id = kVocabulary - 1) {
    VocabularyStatistics statistics(shape_, communicator_);
    return statistics.candidates(std::span(&sequence_, 1), logits_.data(), mask_id).front();
  }

  std::span<float> row(int i) { return std::span(logits_).subspan(i * kVocabulary, kVocabulary); }

  double probability(int i, TokenId id) {
    double sum = 0;
    for (const float z : row(i)) sum += std::exp(double{z} - row(i)[id]);
    return 1 / sum;
  }

  /// The id with the highest noised score of those that `allowed` lists.
  TokenId sampled(int i, const std::vector<TokenId>& allowed) {
    const auto score = [&](TokenId id) {
      return row(i)[id] / sequence_.sampling.temperature +
             gumbel_noise(5, 4, sequence_.query.eligible[i], id);
    };
    return *std::ranges::max_element(allowed, {}, score);
  }

  std::vector<TokenId> by_probability(int i) {
    std::vector<TokenId> ids(kVocabulary);
    std::iota(ids.begin(), ids.end(), 0);
    std::ranges::sort(ids, std::greater(), [&](TokenId id) { return row(i)[id]; });
    return ids;
  }

  ModelShape shape_;
  SingleCommunicator communicator_;
  StepSequence sequence_;
  std::vector<float> logits_;
};

TEST_F(VocabularyStatisticsTest, PicksTheMostProbableIdWithItsProbability) {
  const std::vector<Candidate> found = candidates();
  ASSERT_EQ(found.size(), 2U);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(found[i].position, sequence_.query.eligible[i]);
    EXPECT_EQ(found[i].token, by_probability(i).front());
    EXPECT_EQ(found[i].best_unmasked, found[i].token);
    EXPECT_NEAR(found[i].confidence, probability(i, found[i].token), 1e-6);
  }
}

TEST_F(VocabularyStatisticsTest, GivesTheBestOtherIdWhereMaskIsTheMostProbable) {
  const TokenId mask = by_probability(0)[0];
  const Candidate found = candidates(mask)[0];
  EXPECT_EQ(found.token, mask);
  EXPECT_EQ(found.best_unmasked, by_probability(0)[1]);
}

TEST_F(VocabularyStatisticsTest, EqualLogitsGoToTheLowestId) {
  row(0)[70] = row(0)[33] = row(0)[34] = 50;
  EXPECT_EQ(candidates()[0].token, 33);
}

TEST_F(VocabularyStatisticsTest, SamplesTheHighestNoisedScoreOfAllIds) {
  std::vector<TokenId> all(kVocabulary);
  std::iota(all.begin(), all.end(), 0);
  for (const double temperature : {0.1, 0.7, 2.0, 50.0}) {
    sequence_.sampling.temperature = temperature;
    const std::vector<Candidate> found = candidates();
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(found[i].token, sampled(i, all)) << "temperature " << temperature;
      EXPECT_NEAR(found[i].confidence, probability(i, found[i].token), 1e-6);
    }
  }
}

TEST_F(VocabularyStatisticsTest, SamplesFromTheTopK) {
  sequence_.sampling.temperature = 5;
  for (const int k : {1, 3, 40, 200}) {
    sequence_.sampling.top_k = k;
    std::vector<TokenId> allowed = by_probability(0);
    allowed.resize(std::min(k, kVocabulary));
    EXPECT_EQ(candidates()[0].token, sampled(0, allowed)) << "top_k " << k;
  }
}

TEST_F(VocabularyStatisticsTest, SamplesFromTheNucleus) {
  sequence_.sampling.temperature = 5;
  for (const double p : {0.01, 0.5, 0.9, 0.999}) {
    sequence_.sampling.top_p = p;
    std::vector<TokenId> allowed;
    double total = 0, above = 0;
    for (const float z : row(0)) total += std::exp(z / 5.0);
    for (const TokenId id : by_probability(0)) {
      if (above >= p) break;
      allowed.push_back(id);
      above += std::exp(row(0)[id] / 5.0) / total;
    }
    EXPECT_EQ(candidates()[0].token, sampled(0, allowed)) << "top_p " << p;
  }
}

/// Row 0's candidate on so many ranks, each with its slice.
Candidate candidate_on(int tp, ModelShape shape, StepSequence sequence, std::span<float> logits) {
  sequence.query.eligible.resize(1);
  shape.tp_size = tp;
  LocalGroup group(tp);
  std::vector<Candidate> found(tp);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < tp; ++rank) {
    ranks.emplace_back([&, rank] {
      ModelShape mine = shape;
      mine.tp_rank = rank;
      const auto communicator = group.communicator(rank);
      VocabularyStatistics statistics(mine, *communicator);
      found[rank] = statistics.candidates(std::span(&sequence, 1),
                                          logits.data() + mine.first_vocabulary_id(),
                                          kVocabulary - 1)[0][0];
    });
  }
  for (std::thread& rank : ranks) rank.join();
  for (const Candidate& other : found) EXPECT_EQ(other.token, found[0].token);
  return found[0];
}

TEST_F(VocabularyStatisticsTest, TheNucleusIsTheSameOnAnyNumberOfRanksToTheLastBit) {
  std::mt19937_64 random(11);
  std::normal_distribution<float> normal(0, 1);
  sequence_.sampling.temperature = 1.3;
  for (int i = 0; i < 60; ++i) {
    for (float& z : row(0)) z = normal(random);
    const double most = std::ranges::max(row(0));
    double total = 0;
    for (const float z : row(0)) total += std::exp((z - most) / 1.3);
    sequence_.sampling.top_p = 1 / total;  // whether a second id is in it, the last bit decides
    sequence_.sampling.seed = i;
    const TokenId alone = candidate_on(1, shape_, sequence_, row(0)).token;
    EXPECT_EQ(candidate_on(2, shape_, sequence_, row(0)).token, alone) << "case " << i;
    EXPECT_EQ(candidate_on(4, shape_, sequence_, row(0)).token, alone) << "case " << i;
  }
}

TEST_F(VocabularyStatisticsTest, SaysOfARowThatIsNotFiniteThatItIsNot) {
  sequence_.top_logprobs = 3;
  for (const float bad : {NAN, -NAN, INFINITY}) {
    for (const int id : {0, 5, kVocabulary - 1}) {
      for (const double top_p : {1.0, 0.5}) {
        sequence_.sampling.temperature = top_p < 1 ? 1 : 0;
        sequence_.sampling.top_p = top_p;
        const float good = std::exchange(row(0)[id], bad);
        const std::vector<Candidate> found = candidates();
        row(0)[id] = good;
        EXPECT_FALSE(found[0].finite) << bad << " at " << id;
        EXPECT_TRUE(found[1].finite);
        EXPECT_EQ(found[1].top.size(), 3U);
        EXPECT_EQ(found[1].top[0].token, by_probability(1).front());
      }
    }
  }
}

TEST_F(VocabularyStatisticsTest, SaysOfARowWithoutANumberThatItIsNotFinite) {
  std::ranges::fill(row(0), NAN);
  EXPECT_FALSE(candidates()[0].finite);
}

}  // namespace
}  // namespace rubato
