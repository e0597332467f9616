#include "runtime/model/top_logits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace rubato {
namespace {

/// A row of few distinct values, so that ties are common.
std::vector<float> row(std::mt19937_64& random, std::size_t size) {
  std::vector<float> logits(size);
  for (float& logit : logits) logit = static_cast<float>(random() % 7) - 3;
  return logits;
}

std::vector<TokenId> best_ids(const std::vector<float>& logits, int count) {
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::ranges::stable_sort(ids, [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  ids.resize(count);
  return ids;
}

TEST(TopLogits, OfSeveralRanksMergedAreThoseOfTheWhole) {
  std::mt19937_64 random(1);
  for (const int ranks : {1, 2, 4}) {
    for (const int count : {1, 3, 20}) {
      const std::vector<float> first = row(random, 40), second = row(random, 40);
      std::vector<double> gathered;
      std::size_t stride = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const std::size_t width = 40 / ranks, begin = rank * width;
        for (const auto* logits : {&first, &second}) {
          append_top(std::span(*logits).subspan(begin, width),
                     static_cast<TokenId>(begin),
                     count,
                     gathered);
        }
        stride = gathered.size() / (rank + 1);
      }
      const auto top = merge_top(gathered, stride / 2, stride, count, /*most=*/3, /*log_sum=*/7);
      std::vector<TokenId> ids;
      for (const auto& [token, logprob] : top) {
        ids.push_back(token);
        EXPECT_EQ(logprob, second[token] - 3.0 - 7.0);
      }
      EXPECT_EQ(ids, best_ids(second, count)) << ranks << " ranks, " << count;
    }
  }
}

TEST(TopLogits, AreFewerWhereTheVocabularyIs) {
  std::vector<double> gathered;
  append_top(std::vector<float>{1, 2}, 0, 3, gathered);
  append_top(std::vector<float>{3}, 2, 3, gathered);
  ASSERT_EQ(gathered.size(), 12u);
  const auto top = merge_top(gathered, 0, 6, 3, 0, 0);
  EXPECT_EQ(top, (std::vector<TokenLogprob>{{2, 3}, {1, 2}, {0, 1}}));
  EXPECT_EQ(merge_top(std::span(gathered).first(6), 0, 6, 3, 0, 0).size(), 2u);
}

}  // namespace
}  // namespace rubato
